/*
 * Inbound: nodes verify the credential, clients present it. Nodes learn first, then stores move and clients follow,
 * then nodes forget. The rules are docs/reference/rotation.md; what is left out is in README.md.
 */
#define INBOUND
#define FREED(g) PAST(g)

/* accept = base, the successor once it is rolling, retirements in waiting and draining; less what is past its revocation. */
#define DESIRED ((PAST(base) -> 0 : BIT(base)) | (UP && !PAST(succ) -> BIT(succ) : 0) | LEAVING(0) | LEAVING(1) | LEAVING(2))
#define LEAVING(g) (ret[g] == WAITING || ret[g] == DRAINING -> BIT(g) : 0)

/*
 * Evidence that nobody uses it: every node reports, and none sees it. Past its bound `expedite` does not ask the nodes; that
 * clients have let go is still so, because the bound is not shorter than their caches.
 */
#ifdef CUT_EARLY
#define DRAINED(g) (mode != ROTATE || (cli != g && ALL(REPORTS)))
#else
#define DRAINED(g) (cli != g && (mode != ROTATE || ALL(REPORTS)))
#endif
#define BASE_ACCEPTED ALL(BASE_OK)
#define BASE_OK(i) (!SERVES(i) || HAS(has[i], base))

#define APPLICABLE(r) true
#define WORKS(mask) true
#define PROVABLE(i) true

#define INSTALLED true
#define NEXT_INSTALL
#define PLAN_INSTALL
#define FIRST_BACK back = STORES
#define KEEP_BASE
#define UNSEEN ret[succ] = DESTROYING          /* nothing ever saw it */
#define AGAIN(g)

#define PASS_GATE(g) start_narrowing(g)
/* Everybody is told, and everybody who is not excused has proved it. */
#define REVOKED(g) (ALL(NARROW_PROVED) && !ANY(UNNARROWED))
/* A prober tries it at every node that serves, and what stays in the same round. */
#define SHOWN_DEAD(g) (ALL(REFUSES) && (step == NOSUCC || (CONTROL(g) != NOGEN && ALL(ACCEPTS_CONTROL))))
#define REFUSES(i) (!on[i] || exc[i] == 1 || !HAS(has[i], g))
#define ACCEPTS_CONTROL(i) (!on[i] || exc[i] == 1 || HAS(has[i], CONTROL(g)))

/* I1: what a client presents is accepted by every node that it reaches. Only a contained generation is let go. */
#define SERVED(i) (!SERVES(i) || cli == NOGEN || CONTAINED(cli) || HAS(has[i], cli))
#define READ true
/* I4: at most two are accepted. Of the desired state it is asserted where that is made. */
#define FEW true
#define DEAD_IS_REFUSED(g) \
  y = 0; \
  do \
  :: y < N -> assert(!SERVES(y) || !HAS(has[y], g)); y++ \
  :: else -> break \
  od; \
  y = 0

#define SETUP FIRST
#ifdef OFFBOARD
#define FIRST ret[0] = DRAINING; confRev = 1
#else
#define FIRST skip
#endif
#define OTHERS skip

#include "common.pml"

inline start_narrowing(g) { ret[g] = REVOKING; bump(); narRev[g] = rev }

#include "rules.pml"
#include "world.pml"
#include "init.pml"
