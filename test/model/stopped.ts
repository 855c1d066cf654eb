/** The core cannot take a step that the model takes: the way ends there. */
export class Stopped extends Error {}
