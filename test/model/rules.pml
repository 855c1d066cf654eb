/* The rules of docs/reference/rotation.md, in its order. One option of a process is one rule. */

/* ---- the successor ---- */

#define TOLD(i) (des[i] >= upRev)
#define UNTOLD(i) (memb[i] && !TOLD(i))
#ifdef BUG_WAITS_FOR_LOST
#define AWAITED(i) EXPECTED(i)
#else
#define AWAITED(i) (EXPECTED(i) && !(mode == CONTAIN && !conn[i]))       /* a containment does not wait for lost nodes */
#endif
#define PROVED(i) (!AWAITED(i) || (prf[i] >= upRev && ASKED_FOR(i)))
#ifdef BUG_FROZEN_ASK
#define ASKED_FOR(i) ((hist[prf[i]] & hist[upRev]) == hist[upRev])
#else
#define ASKED_FOR(i) (hist[prf[i]] & upAsk)
#endif
#define WAVE_PROVED(i) (!TOLD(i) || PROVED(i))
#define CANARY(i) (EXPECTED(i) && !TOLD(i))

inline leave_behind() {
#ifdef INBOUND
  y = 0;
  do
  :: y < N ->
     if :: memb[y] && mode == CONTAIN && !(prf[y] >= upRev && ASKED_FOR(y)) -> behind[y] = true :: else -> skip fi;
     y++
  :: else -> break
  od;
  y = 0
#else
  skip
#endif
}

inline next_successor() {
  succ++;
  assert(succ < G);
  step = PLANNED; follow = false; staged = 0; moved = 0;
  NEXT_INSTALL
}

/* Gives the successor up. The plan has changed: what an older plan's worker still holds is cancelled. */
inline abandon(another) {
  if :: lkind != NOTHING -> lold = true :: else -> skip fi;
  if
  :: step == PLANNED -> skip
  :: step != PLANNED && HAS(seen, succ) ->
     ret[succ] = WAITING;
     if :: PAST(base) -> skip                                    /* nothing to go back to: it waits for the next one */
        :: else -> goback = ASKED; upAsk = BIT(base); FIRST_BACK
     fi
  :: else -> UNSEEN
  fi;
  if :: ret[base] == DRAINING || ret[base] == SUSPENDING ->
        ret[base] = NO; ann = ann & ~BIT(base); acked = acked & ~BIT(base); KEEP_BASE
     :: else -> skip fi;
  step = ABANDONED; follow = another;
  if :: hist[rev] != DESIRED -> bump() :: else -> skip fi;
  upRev = rev
}

/* A goal is an error on purpose: its counterexample is a way that ends well. */
#ifndef GOAL_WITH
#define GOAL_WITH true
#endif
#define LEAKED (leaks == 0)
#define LEAKED_AFTER_MOVING (leaks == 0 && ver[0] > 2)   /* there, and back or on */
#define THERE_AND_BACK (ver[0] == 2)
#ifdef GOAL_CLOSED
#define END_CLOSED assert(!(GOAL_WITH))
#else
#define END_CLOSED printf("END closed\n")
#endif
#ifdef GOAL_ROLLED_BACK
#define END_ROLLED_BACK assert(!(GOAL_WITH))
#else
#define END_ROLLED_BACK printf("END rolled back\n")
#endif
#define ENDED(g) (ret[g] == NO || ret[g] == DEAD)
#ifdef BUG_THREE_SLOTS
#define SLOT_FREE true
#define NEXT_MAY_COME true
#else
#define SLOT_FREE (OCCUPYING < 2)
#ifdef TEXT_NEXT
#define NEXT_MAY_COME (back == NOBACK && !OCCUPIES(succ))
#else
#define NEXT_MAY_COME (back == NOBACK && OCCUPYING < 2)
#endif
#endif

proctype Coordinator() {
  do
  :: atomic {
  if
  :: d_step { GO && step == PLANNED && SLOT_FREE ->
       printf("STEP timer-fired settled\n"); step = STAGING; PLAN_INSTALL }
  :: d_step { GO && step == STAGING && staged == 3 && INSTALLED && back == NOBACK ->
       step = ROLLING; seen = seen | BIT(succ); bump(); upRev = rev; upAsk = BIT(succ);
       printf("STEP rolling r%d\n", rev) }

  /* waves: a canary, then everybody; `contain`: everybody. Who joined later was told when it joined. */
  :: GO && (step == ROLLING || back == NODES) && mode != CONTAIN && !ANY(TOLD) && ANY(CANARY) ->
       if :: CANARY(0) -> y = 0
#if N > 1
          :: CANARY(1) -> y = 1
#endif
#if N > 2
          :: CANARY(2) -> y = 2
#endif
       fi;
       d_step { printf("STEP wave-started n%d r%d\n", name[y], rev); tell(y); y = 0 }
  :: d_step { GO && (step == ROLLING || back == NODES) && (mode == CONTAIN || ANY(TOLD) || !ANY(CANARY)) && ALL(WAVE_PROVED) && ANY(UNTOLD) ->
       printf("STEP wave-proved r%d\n", upRev); tell_all() }

#ifdef BUG_PROMOTE_EARLY
  :: d_step { GO && step == ROLLING && ANY(TOLD) && ALL(WAVE_PROVED) ->
#else
  :: d_step { GO && step == ROLLING && ALL(PROVED) ->
#endif
       printf("STEP promoting g%d\n", succ); leave_behind(); step = PROMOTING }
  :: d_step { GO && step == PROMOTING && moved == 3 ->
#ifdef BUG_NO_CONFIRM
       confRev = upRev;
#else
       bump(); confRev = rev; upRev = rev; tell_all();
#endif
       printf("STEP confirming r%d\n", confRev); step = CONFIRMING }
  :: d_step { GO && step == CONFIRMING && ALL(PROVED) && (PAST(base) || HAS(comp, base) || BASE_ACCEPTED) ->
       printf("STEP live g%d\n", succ); leave_behind(); step = LIVE;
       if :: ret[base] == NO -> ret[base] = DRAINING :: else -> skip fi;
       if :: HAS(comp, succ) -> base = succ; next_successor() :: else -> skip fi }

  /* the way back */
#ifdef OUTBOUND
  :: d_step { GO && back == NODES && ALL(PROVED) ->
       printf("STEP nodes-back\n"); leave_behind(); back = STORES }
#endif
  :: d_step { GO && back == STORES && goback == 0 ->
       bump(); confRev = rev; upRev = rev; upAsk = BIT(base); tell_all();
       printf("STEP confirming-base r%d\n", rev); back = CONFIRM }
  :: d_step { GO && back == CONFIRM && ALL(PROVED) ->
       printf("STEP back g%d\n", base); leave_behind(); back = NOBACK }

  /* supersede */
  :: d_step { GO && step == ABANDONED && follow && NEXT_MAY_COME ->
       printf("STEP next-planned g%d\n", succ + 1); next_successor() }

  /* the end */
  :: d_step { GO && step == LIVE && ENDED(0) && ENDED(1) && ENDED(2) ->
       printf("STEP closed\n"); assert(cur[0] == succ && cur[1] == succ);   /* I6: nobody but its own plan moved a store */
       outcome = CLOSED }
  :: d_step { GO && step == ABANDONED && !follow && back == NOBACK && ENDED(0) && ENDED(1) && ENDED(2) ->
       printf("STEP rolled-back\n"); assert(cur[0] == base && cur[1] == base);   /* I6 */
       outcome = ROLLEDBACK }
#ifdef OFFBOARD
  :: d_step { GO && step == NOSUCC && ret[0] == DEAD -> printf("STEP closed\n"); outcome = CLOSED }
#endif
  fi;
  d_step { check() } }
  :: outcome == CLOSED -> END_CLOSED; break                       /* goal */
  :: outcome == ROLLEDBACK -> END_ROLLED_BACK; break              /* goal */
  od
}
/* ---- a retirement ---- */

#ifdef BUG_NARROW_BEFORE_DRAIN
#define DRAINS(g) true
#else
#define DRAINS(g) DRAINED(g)
#endif
#ifdef BUG_GATE_IGNORES_JOINER
#define GATE_ASKS(i) (EXPECTED(i) && !joined[i])
#else
#define GATE_ASKS(i) EXPECTED(i)
#endif
#define KEEPS(i) (prf[i] >= confRev && STAYS(g) != NOGEN && HAS(hist[prf[i]], STAYS(g)))
#define NOTHING_STAYS (step == NOSUCC)
#define KEPT(i) (!GATE_ASKS(i) || NOTHING_STAYS || KEEPS(i))
#define KEPT_BY_ALL(i) (!EXPECTED(i) || NOTHING_STAYS || \
  (GENUINE(i) >= confRev && STAYS(g) != NOGEN && HAS(hist[GENUINE(i)], STAYS(g))))
#ifdef BUG_NO_AUDIT
#define AUDITED(g) true
#else
#define AUDITED(g) (mode != ROTATE || HAS(acked, g))
#endif
/* Nobody asks for a way to a revocation that leaves nothing: without what stays there is no gate, but for offboarding. */
#define GATE(g) ((NOTHING_STAYS || STAYS(g) != NOGEN) && ALL(KEPT) && DRAINS(g) && AUDITED(g) && ANY(EXPECTED))

inline i2(g) {
  assert(ALL(KEPT_BY_ALL));                                      /* I2 */
  assert(mode != ROTATE || HAS(acked, g))                        /* I2: the audit topic has the intent */
}

#define WAIT_OVER (back == NOBACK && (!PAST(base) || step == LIVE))

/* `contain`: every compromised generation that may still be used is revoked now, and nobody is asked. */
inline contain() {
  y = 0; z = 0;
  do
  :: y < G ->
     if :: CONTAINED(y) && !PAST(y) && (y == base || ret[y] != NO) -> ret[y] = REVOKING; narRev[y] = rev + 1; AGAIN(y); z = 1
        :: else -> skip fi;
     y++
  :: else -> break
  od;
  if :: z == 1 ->
        if :: PAST(base) -> back = NOBACK; goback = 0 :: else -> skip fi;
        bump(); tell_all()
     :: else -> skip fi;
  y = 0; z = 0
}


/* Generation g leaked. The mode only grows, and what a human held goes on. */
inline leaked(g, m) {
  comp = comp | BIT(g); held = false;
  if :: m > mode -> mode = m :: else -> skip fi;
  if
  :: step <= LIVE && g == succ && PAST(base) ->                  /* no way back */
#ifdef TEXT_REBASE
     base = succ; next_successor()
#else
     if
     :: step == LIVE -> base = succ; next_successor()            /* it becomes the base of the next one */
     :: (step == PROMOTING || step == CONFIRMING) && mode != CONTAIN -> skip   /* and before that it must be live: clients have it */
     :: else -> abandon(true)
     fi
#endif
  :: step <= LIVE && g == succ && !PAST(base) ->
     if :: HAS(comp, base) -> mode = CONTAIN :: else -> skip fi;
#ifdef BUG_BACK_TO_LEAKED
     abandon(!HAS(comp, base))
#else
     abandon(true)
#endif
  :: step == ABANDONED && g == base -> follow = true             /* not back onto it, unless another one follows */
  :: else -> skip
  fi;
  if :: mode == CONTAIN -> contain() :: else -> skip fi
}

#define NARROWED(i) (des[i] >= narRev[g])
#define UNNARROWED(i) (memb[i] && !NARROWED(i))
#define NARROW_CANARY(i) (EXPECTED(i) && !NARROWED(i))
#define NARROW_PROVED(i) (!EXPECTED(i) || (prf[i] >= narRev[g] && !HAS(hist[prf[i]], g)))
#define NARROW_WAVE(i) (!NARROWED(i) || NARROW_PROVED(i))

proctype Retirement(byte g) {
end: do :: atomic {
  if
  :: d_step { GO && ret[g] == WAITING && WAIT_OVER -> printf("STEP draining g%d\n", g); ret[g] = DRAINING }
  :: d_step { GO && ret[g] == DRAINING && mode == ROTATE && !HAS(ann, g) && DRAINS(g) ->
       printf("STEP announced g%d\n", g); ann = ann | BIT(g) }
  :: d_step { GO && ret[g] == DRAINING && GATE(g) -> i2(g); printf("STEP gate g%d\n", g); PASS_GATE(g) }
#ifdef OUTBOUND
  :: d_step { GO && ret[g] == SUSPENDING && (mode != ROTATE || HAS(soaked, g)) && GATE(g) ->
       i2(g); printf("STEP gate g%d\n", g); ret[g] = REVOKING; AGAIN(g) }
#else
  /* nodes narrow: a canary, then everybody */
  :: GO && ret[g] == REVOKING && !ANY(NARROWED) && ANY(NARROW_CANARY) ->
       if :: NARROW_CANARY(0) -> y = 0
#if N > 1
          :: NARROW_CANARY(1) -> y = 1
#endif
#if N > 2
          :: NARROW_CANARY(2) -> y = 2
#endif
       fi;
       d_step { printf("STEP wave-started n%d r%d\n", name[y], rev); tell(y); y = 0 }
  :: d_step { GO && ret[g] == REVOKING && (ANY(NARROWED) || !ANY(NARROW_CANARY)) && ALL(NARROW_WAVE) && ANY(UNNARROWED) ->
       printf("STEP wave-proved g%d\n", g); tell_all() }
#endif
  :: d_step { GO && ret[g] == REVOKING && REVOKED(g) -> printf("STEP proving g%d\n", g); ret[g] = PROVING }
  :: d_step { GO && ret[g] == PROVING && SHOWN_DEAD(g) && NOLEASE(g) ->
       printf("STEP effect-done PROBE 0 g%d\n", g); ret[g] = DESTROYING }
  :: d_step { GO && ret[g] == DESTROYING && HAS(tomb[0], g) && HAS(tomb[1], g) ->
       printf("STEP dead g%d\n", g); ret[g] = DEAD }
  fi;
  d_step { check() } } od
}
