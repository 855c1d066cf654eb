/*
 * The state of the protocol, and the small words that both directions share. Read inbound.pml or outbound.pml first.
 *
 * One step of a process is one transaction, or one act outside. Everything that is decided is decided late or early, in
 * any order: a coordinator that crashes between two steps is one that decides later.
 *
 * Sizes and budgets (how often something may go wrong) come from the command line; runs.ts names the combinations.
 */
#ifndef N
#define N 3          /* nodes */
#endif
#ifndef JOINERS
#define JOINERS 0    /* of these, so many are not there yet */
#endif
#ifndef RESTARTS
#define RESTARTS 0   /* a node's process ends and starts again, with nothing but its disk */
#endif
#ifndef DROPS
#define DROPS 0      /* a connection ends, and the node comes back to the other fleet instance */
#endif
#ifndef OFFS
#define OFFS 0       /* a node is switched off for ever */
#endif
#ifndef EXCUSES
#define EXCUSES 0
#endif
#ifndef LATES
#define LATES 0      /* a worker takes a lease and is paused, or killed before or after its act */
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef HOLDS
#define HOLDS 0
#endif
#ifndef LEAKS
#define LEAKS 0
#endif
#ifndef LEAK_GENS
#define LEAK_GENS 7  /* which generations may leak, as bits */
#endif
#ifndef LEAK_MODES
#define LEAK_MODES 3 /* 1 expedite, 2 contain */
#endif
#ifndef MODE
#define MODE ROTATE
#endif

#define G 3          /* generations: 0 is the base, 1 its successor, 2 what follows after a leak */
#define NOGEN 3
#define K 2          /* stores */
#define BIT(g) (1 << (g))
#define HAS(mask, g) ((mask) & BIT(g))

/* modes */
#define ROTATE 0
#define EXPEDITE 1
#define CONTAIN 2

/* steps of a successor */
#define PLANNED 0
#define STAGING 1
#define ROLLING 2
#define PROMOTING 3
#define CONFIRMING 4
#define LIVE 5
#define ABANDONED 6
#define NOSUCC 7     /* offboarding */

/* steps of a retirement */
#define NO 0
#define WAITING 1
#define DRAINING 2
#define SUSPENDING 3
#define REVOKING 4
#define PROVING 5
#define DESTROYING 6 /* the end of proving: the stores destroy it */
#define DEAD 7

/* the way back after a successor was abandoned */
#define NOBACK 0
#define REINSTATE 1  /* outbound: a suspended base is accepted again */
#define NODES 2      /* outbound: nodes present the base again */
#define STORES 3
#define CONFIRM 4

/* outcomes */
#define OPEN 0
#define CLOSED 1
#define ROLLEDBACK 2

/* kinds of effects */
#define NOTHING 0
#define STAGE 1
#define PROMOTE 2
#define RESTORE 3
#define WITHDRAW 4
#define DESTROY 5
#define INSTALL 6
#define SUSPEND 7
#define REINST 8
#define REVOKE 9
#define AUTHORITY K  /* a target besides the stores */

/* ---- the ledger ---- */
byte mode = MODE;
byte base = 0;
byte succ = 1;
#ifdef OFFBOARD
byte step = NOSUCC;
#else
byte step = PLANNED;
#endif
bool follow;         /* another successor comes after the abandoned one */
byte outcome = OPEN;
bool held;           /* by a human */
byte ret[G];         /* the retirement of each generation */
byte comp;           /* compromised generations */
byte seen;           /* generations that a node was told of */
byte ann, acked;     /* announced intents, and those that the audit topic has */
byte staged, moved;  /* stores that hold the successor, stores that show it */
byte goback;         /* stores to put back on the base */
byte back;           /* where the way back is */
byte out[K];         /* generations that the store has withdrawn */
byte rev = 1;        /* last revision; it moves with each rollout */
byte hist[16];       /* what that revision says: generations, as bits */
byte upRev, upAsk;   /* the rollout on the way up (or back): first revision that counts, what must be shown */
byte confRev;        /* of the last confirmation */
byte narRev[G];      /* of the narrowing */

/* ---- the stores, and who reads them ---- */
byte cur[K];         /* the generation that readers get */
byte ver[K + 1];      /* its own version of that (the authority has none) */
byte pend[K] = 1;    /* staged copies, as bits */
byte tomb[K];        /* destroyed generations */
byte cli;            /* what a client (inbound) or a reader without an agent (outbound) holds now. One stands for all */

/* ---- a call that a worker took on and has not come back from ---- */
byte lkind, lstore, lgen, lver;
bool lheld;          /* its lease has not ended */
bool lold;           /* the plan has changed since */

/* ---- nodes; the first four are the ledger's and the fleet's view ---- */
bool memb[N];        /* not gone */
byte exc[N];         /* 1 excused by a human; 2 it came back, and has not applied what it was told then */
byte des[N];         /* revision that it was told */
byte prf[N];         /* revision that it proved in its present session */
byte old[N];         /* an earlier message that is still on its way */
bool conn[N];        /* has a session */
bool on[N];         /* serves */
bool off[N];         /* for ever */
byte nrev[N];        /* revision that it applied */
byte has[N];         /* inbound: what it accepts. Outbound: what it presents. As bits */
bool behind[N];      /* a containment did not wait for it */

/* Of mutations alone, which are searched without sorting. */
#ifdef BUG_GATE_IGNORES_JOINER
bool joined[N];
#endif
#ifdef BUG_STALE_SESSION
byte stale[N];       /* an acknowledgement of the session before, in the other fleet instance */
byte own[N];         /* what was really proved in this session */
#define GENUINE(i) own[i]
#else
#define GENUINE(i) prf[i]
#endif

/* ---- budgets ---- */
byte restarts = RESTARTS, drops = DROPS, offs = OFFS, excuses = EXCUSES, joins = JOINERS;
byte lates = LATES, rollbacks = ROLLBACKS, holds = HOLDS, leaks = LEAKS;

/*
 * Scratch within one step, and the names of the nodes, which follow them through the sorting so that trails can be read.
 * Neither is part of a state. A breadth-first search (NOSORT) knows no hidden variables.
 */
#ifdef NOSORT
byte x, y, z, a, b;
byte name[N];
#else
hidden byte x, y, z, a, b;
hidden byte name[N];
#endif

#if N == 3
#define ALL(p) (p(0) && p(1) && p(2))
#define ANY(p) (p(0) || p(1) || p(2))
#elif N == 2
#define ALL(p) (p(0) && p(1))
#define ANY(p) (p(0) || p(1))
#else
#define ALL(p) (p(0))
#define ANY(p) (p(0))
#endif

/* ---- words of the rules ---- */
#define GO (outcome == OPEN && !(held && mode == ROTATE))
#define PAST(g) (ret[g] >= REVOKING)
#define CONTAINED(g) (mode == CONTAIN && HAS(comp, g))
#define UP (step >= ROLLING && step <= LIVE)
#define EXPECTED(i) (memb[i] && (exc[i] == 0 || exc[i] == 2))
/* Not asked to hold what the invariants say: excused, back but not yet told, or left behind by a containment. */
#define EXEMPT(i) (exc[i] == 1 || exc[i] == 2 || behind[i])
#define SERVES(i) (on[i] && !EXEMPT(i))
/* Evidence comes from who reports. Without a session a node may be using anything. */
#define REPORTS(i) (!EXPECTED(i) || conn[i])

/* What must be accepted everywhere while g dies. */
#define STAYS(g) (step == LIVE && succ != g -> succ : (base != g && !PAST(base) -> base : NOGEN))
/* The same for the prober: a successor is a control once the stores have moved. */
#ifdef TEXT_CONTROL
#define CONTROL(g) (UP && succ != g && !PAST(succ) -> succ : (base != g && !PAST(base) -> base : NOGEN))
#else
#define CONTROL(g) (step >= CONFIRMING && step <= LIVE && succ != g -> succ : (base != g && !PAST(base) -> base : NOGEN))
#endif

/* Slots. Inbound a generation frees its slot with its revocation's start, outbound when the authority has revoked it. */
#define OCCUPIES(g) ((g == base || ret[g] != NO) && !FREED(g))
#define OCCUPYING (OCCUPIES(0) + OCCUPIES(1) + OCCUPIES(2))
#define SUM(mask) (((mask) & 1) + (((mask) >> 1) & 1) + (((mask) >> 2) & 1))

/* ---- workers ---- */
#define ISLATE(k, kind, g) (lheld && lstore == k && lkind == kind && lgen == g && !lold)
/* An effect waits while an older plan's effect on the same store or authority may still act; nobody takes a lease that is held. */
#ifdef BUG_NO_WAIT
#define FREE(k, kind, g) (!ISLATE(k, kind, g))
#else
#define FREE(k, kind, g) (!ISLATE(k, kind, g) && !(lheld && lstore == k && lold))
#endif
/* An emergency's revocation does not wait; it comes again. */
#define URGENT(kind) (kind == REVOKE && mode != ROTATE)
#define TAKEABLE(k, kind, g) (FREE(k, kind, g) || (URGENT(kind) && !ISLATE(k, kind, g)))
#ifdef BUG_PROVE_EARLY
#define NOLEASE(g) true
#else
#define NOLEASE(g) (!(lheld && lgen == g))
#endif

#define NEXTSTORE(mask, k) (!HAS(mask, k) && (k == 0 || HAS(mask, 0)))
#define WANT_STAGE(k) (step == STAGING && NEXTSTORE(staged, k))
#define WANT_PROMOTE(k) (step == PROMOTING && NEXTSTORE(moved, k))
#define WANT_RESTORE(k) (back == STORES && HAS(goback, k) && (k == 0 || !HAS(goback, 0)))
#ifdef TEXT_OFFBOARD
#define LEAVES_STORES(g) CONTAINED(g)
#else
#define LEAVES_STORES(g) (CONTAINED(g) || step == NOSUCC)
#endif
#define TO_WITHDRAW(k, g) (LEAVES_STORES(g) && !HAS(out[k], g))
#define WANT_WITHDRAW(k, g) (TO_WITHDRAW(k, g) && PAST(g) && ret[g] != DEAD && !HAS(goback, k))
#ifdef TEXT_DESTROY
#define WANT_DESTROY(k, g) (ret[g] == DESTROYING && !HAS(tomb[k], g))
#else
#define WANT_DESTROY(k, g) (ret[g] == DESTROYING && !HAS(tomb[k], g) && !HAS(goback, k) && !TO_WITHDRAW(k, g))
#endif
/* Stores that a promotion may have reached. */
#define ASKED (step >= PROMOTING && step <= LIVE -> (HAS(moved, 0) -> 3 : 1) : 0)

/* A new rollout: the desired state that everybody is told from now on. */
inline bump() {
  rev++;
  hist[rev] = DESIRED;
  assert(SUM(hist[rev]) <= 2);                                  /* I4: of a node's desired state */
  x = 0;
  do :: x < G -> assert(!(ret[x] == DEAD && HAS(hist[rev], x))); x++ :: else -> break od;   /* I3: never delivered again */
  x = 0
}

inline tell(i) {
  if :: memb[i] && des[i] < rev ->
        if :: conn[i] && des[i] > nrev[i] -> old[i] = des[i] :: else -> skip fi;
        des[i] = rev
     :: else -> skip fi
}
inline tell_all() {
  y = 0;
  do :: y < N -> tell(y); y++ :: else -> break od;
  y = 0
}

/* Nodes are alike: their order in the arrays means nothing, so states that differ in it alone are one. */
#define KEY(i) (nrev[i] + (des[i] << 4) + (prf[i] << 8) + (old[i] << 12) + (has[i] << 16) + (exc[i] << 19) + \
  (on[i] << 21) + (conn[i] << 22) + (memb[i] << 23) + (off[i] << 24) + (behind[i] << 25))
#define SWAP(a, i, j) z = a[i]; a[i] = a[j]; a[j] = z
inline order(i, j) {
  if :: KEY(i) > KEY(j) ->
        SWAP(nrev, i, j); SWAP(des, i, j); SWAP(prf, i, j); SWAP(old, i, j); SWAP(has, i, j); SWAP(exc, i, j);
        SWAP(on, i, j); SWAP(conn, i, j); SWAP(memb, i, j); SWAP(off, i, j); SWAP(behind, i, j); SWAP(name, i, j);
        z = 0
     :: else -> skip fi
}
inline sort() {
#ifdef NOSORT
  skip
#elif N == 3
  order(0, 1); order(1, 2); order(0, 1)
#elif N == 2
  order(0, 1)
#else
  skip
#endif
}

/* ---- the promises, after every step. Their numbers are read by spin.ts ---- */
inline check() {
  sort();
  x = 0;
  do
  :: x < G ->
     if :: ret[x] == DEAD ->
           assert(cur[0] != x && cur[1] != x);                   /* I3: no store shows it */
           assert(!HAS(pend[0], x) && !HAS(pend[1], x));         /* I3: none has it staged */
           DEAD_IS_REFUSED(x)                                    /* I3: it is refused */
        :: else -> skip fi;
     x++
  :: else -> break
  od;
  x = 0;
  do :: x < N -> assert(SERVED(x)); x++ :: else -> break od;     /* I1 */
  x = 0;
  assert(READ);                                                  /* I1: of a reader without an agent */
  assert(FEW)                                                    /* I4 */
}
