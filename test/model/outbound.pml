/*
 * Outbound: nodes present the credential, an authority verifies it. The authority accepts both first, then nodes move,
 * then stores, then the authority revokes. The rules are docs/reference/rotation.md; what is left out is in README.md.
 *
 * The authority has two slots, as a pair of database roles: a generation lives in one, and a slot is used again.
 */
#define OUTBOUND

#define FREED(g) (HAS(revoked, g) || ret[g] >= PROVING)

/*
 * accept is the one generation to present: the successor once it is rolling, else the base, else what was abandoned and
 * lives until the next one is up; nothing that is revoked.
 */
#define ELSE (LIVES(0) -> 1 : (LIVES(1) -> 2 : 0))
#define LIVES(g) (ret[g] == WAITING || ret[g] == DRAINING)
#ifdef TEXT_REINSTATE
#define DESIRED (UP && !PAST(succ) -> BIT(succ) : (PAST(base) -> ELSE : BIT(base)))
#else
/* A base that may be suspended is presented again only when it is accepted again. */
#define DESIRED ((UP || back == REINSTATE) && !PAST(succ) -> BIT(succ) : (PAST(base) || back == REINSTATE -> ELSE : BIT(base)))
#endif

#define VALID(g) (slot[home[g]] == g && !HAS(susp, g))
#define GENERATION(mask) (HAS(mask, 0) -> 0 : (HAS(mask, 1) -> 1 : 2))
#define WORKS(mask) ((mask) == 0 || VALID(GENERATION(mask)))
/* A node tries a value on its real path before it uses it, and again when it proves it. */
#define APPLICABLE(r) WORKS(hist[r])
#define PROVABLE(i) WORKS(has[i])

/* As inbound; the nodes say what they present themselves. */
#define UNUSED(i) (REPORTS(i) && (!SERVES(i) || !HAS(has[i], g)))
#ifdef CUT_EARLY
#define DRAINED(g) (mode != ROTATE || (cli != g && ALL(UNUSED)))
#else
#define DRAINED(g) (cli != g && (mode != ROTATE || ALL(UNUSED)))
#endif
#define BASE_ACCEPTED VALID(base)

#define INSTALLED installed
#define NEXT_INSTALL installed = false
#define UNSEEN if :: step == STAGING && staged == 3 -> ret[succ] = REVOKING; AGAIN(succ) :: else -> ret[succ] = DESTROYING fi
#define KEEP_BASE soaked = soaked & ~BIT(base)
/* The intent is enough: whether it was suspended is not known yet. */
#ifdef BUG_REINSTATE_IF_KNOWN
#define FIRST_BACK if :: ret[base] == SUSPENDING && HAS(soaked, base) -> back = REINSTATE :: else -> back = NODES fi
#else
#define FIRST_BACK if :: ret[base] == SUSPENDING -> back = REINSTATE :: else -> back = NODES fi
#endif

#ifdef NO_SUSPENSION
#define PASS_GATE(g) ret[g] = REVOKING; AGAIN(g)
#else
#define PASS_GATE(g) if :: mode == ROTATE -> ret[g] = SUSPENDING :: else -> ret[g] = REVOKING; AGAIN(g) fi
#endif
/* In an emergency the authority is asked at once, and once more when no lease is left that could install it again. */
#ifdef BUG_REVOKE_ONCE
#define AGAIN(g) skip
#else
#define AGAIN(g) if :: mode != ROTATE && lheld -> again = again | BIT(g) :: else -> skip fi
#endif
#define REVOKED(g) (HAS(revoked, g) && !HAS(again, g))
#define SHOWN_DEAD(g) (!VALID(g) && CONTROL(g) != NOGEN && VALID(CONTROL(g)))

/* I1: what a live node or a reader presents is accepted. Only a contained generation is let go, or one that was dead before. */
#ifdef DEADBASE
#define WAIVED(g) (CONTAINED(g) || g == 0)
#else
#define WAIVED(g) CONTAINED(g)
#endif
#define FINE(g) (VALID(g) || WAIVED(g))
#define SERVED(i) (!SERVES(i) || has[i] == 0 || FINE(GENERATION(has[i])))
#define READ (cli == NOGEN || FINE(cli))
/* I4: at most two are valid. A third slot is there only for the mutation that uses it. */
#ifdef BUG_THREE_SLOTS
#define SLOTS 3
#define FEW ((slot[0] != NOGEN) + (slot[1] != NOGEN) + (slot[2] != NOGEN) <= 2)
#else
#define SLOTS 2
#define FEW true
#endif
#define DEAD_IS_REFUSED(g) assert(slot[home[g]] != g)

#define SETUP slot[0] = 0; slot[1] = NOGEN; home[1] = 1; home[2] = 1; FIRST
#ifdef DEADBASE
#define FIRST ret[0] = PROVING; slot[0] = NOGEN; revoked = 1
#else
#define FIRST skip
#endif
#define OTHERS run Authority()

#include "common.pml"

/* ---- the ledger ---- */
bool installed;
byte soaked;          /* suspended, and the time is over */
byte revoked, again;  /* the authority has revoked it; it is to be asked once more */

/* ---- the authority ---- */
byte slot[SLOTS];     /* which generation lives there */
byte susp;            /* suspended generations */
byte home[G];         /* the slot that a generation is given when it is planned */
bool refused;         /* the call that is not back yet belongs to a plan older than one that the authority has seen */

/* The slot of whoever does not occupy one any more. */
#ifdef BUG_THREE_SLOTS
#define PLAN_INSTALL home[succ] = succ
#else
#define TAKEN(s) ((OCCUPIES(0) && home[0] == s) || (OCCUPIES(1) && home[1] == s && succ != 1))
#define PLAN_INSTALL home[succ] = (TAKEN(0) -> 1 : 0)
#endif

#include "rules.pml"

#ifdef FENCED
#define FENCE if :: lkind != NOTHING && lstore == AUTHORITY && lold -> refused = true :: else -> skip fi
/* What was revoked is never installed again, whichever plan asks. */
#define ENDS(g) if :: lkind == INSTALL && lgen == g -> refused = true :: else -> skip fi
#else
#define FENCE skip
#define ENDS(g) skip
#endif

/* Every call is conditional on what the slot holds: a slot by its name alone may be another generation's by now. */
#ifdef BUG_NO_SLOT
#define MINE(g) true
#define FREE_SLOT(g) true
#else
#define MINE(g) (slot[home[g]] == g)
#define FREE_SLOT(g) (slot[home[g]] == NOGEN || slot[home[g]] == g)
#endif
inline act_INSTALL(k, g, v) { if :: FREE_SLOT(g) -> slot[home[g]] = g :: else -> skip fi; FENCE }
inline act_SUSPEND(k, g, v) { if :: MINE(g) -> susp = susp | BIT(slot[home[g]]) :: else -> skip fi; FENCE }
inline act_REINST(k, g, v) { if :: MINE(g) -> susp = susp & ~BIT(slot[home[g]]) :: else -> skip fi; FENCE }
inline act_REVOKE(k, g, v) {
  if :: MINE(g) -> susp = susp & ~BIT(slot[home[g]]); slot[home[g]] = NOGEN :: else -> skip fi; FENCE; ENDS(g) }

#define WANTS_INSTALL(k, g) (g == succ && step == STAGING && staged == 3 && !installed && FREE_SLOT(g))
#define WANTS_SUSPEND(k, g) (ret[g] == SUSPENDING && !HAS(soaked, g))
#define WANTS_REINST(k, g) (g == base && back == REINSTATE)
#define WANTS_REVOKE(k, g) (ret[g] == REVOKING && (!HAS(revoked, g) || (HAS(again, g) && !(lheld && lgen == g))))
#define DONE_INSTALL(k, g) VALID(g)
#define DONE_SUSPEND(k, g) (!VALID(g))
#define DONE_REINST(k, g) VALID(g)
#define DONE_REVOKE(k, g) (slot[home[g]] != g)
inline record_INSTALL(k, g) { installed = true }
inline record_SUSPEND(k, g) { soaked = soaked | BIT(g) }
inline record_REINST(k, g) {
  back = NODES;
  if :: hist[rev] != DESIRED -> bump(); upRev = rev :: else -> skip fi }
inline record_REVOKE(k, g) {
  if :: HAS(revoked, g) -> again = again & ~BIT(g) :: else -> revoked = revoked | BIT(g) fi }
#define LATE_WANTS_INSTALL WANTS_INSTALL(lstore, lgen)
#define LATE_WANTS_SUSPEND WANTS_SUSPEND(lstore, lgen)
#define LATE_WANTS_REINST WANTS_REINST(lstore, lgen)
#define LATE_WANTS_REVOKE WANTS_REVOKE(lstore, lgen)

#include "world.pml"

proctype Authority() {
end: do :: atomic {
  if
  EFFECT(INSTALL, AUTHORITY, succ)
  EFFECT(SUSPEND, AUTHORITY, 0)
  EFFECT(SUSPEND, AUTHORITY, 1)
  EFFECT(SUSPEND, AUTHORITY, 2)
  EFFECT(REINST, AUTHORITY, base)
  EFFECT(REVOKE, AUTHORITY, 0)
  EFFECT(REVOKE, AUTHORITY, 1)
  EFFECT(REVOKE, AUTHORITY, 2)
  fi;
  d_step { check() } } od
}
#include "init.pml"
