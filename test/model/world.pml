/* What happens outside the ledger: stores, workers, nodes, clients, people. */

/* ---- stores: each act is conditional, so that a late one is harmless ---- */

inline act_STAGE(k, g, v) {
#ifdef BUG_NO_TOMBSTONE
  pend[k] = pend[k] | BIT(g)
#else
  if :: HAS(tomb[k], g) -> skip :: else -> pend[k] = pend[k] | BIT(g) fi   /* what was destroyed is never staged again */
#endif
}
inline act_PROMOTE(k, g, v) {
#ifdef BUG_NO_CAS
  cur[k] = g; ver[k]++
#else
  if :: cur[k] != g && ver[k] == v -> cur[k] = g; ver[k]++ :: else -> skip fi
#endif
}
inline act_RESTORE(k, g, v) {
#ifdef BUG_LABEL_BACK
  if :: cur[k] != g -> cur[k] = g; ver[k]-- :: else -> skip fi   /* the old version is current again */
#else
  if :: ver[k] == v -> cur[k] = g; ver[k]++ :: else -> skip fi   /* a new version, also where it shows the base already */
#endif
}
inline act_WITHDRAW(k, g, v) {
  if :: cur[k] == g && ver[k] == v -> cur[k] = NOGEN; ver[k]++ :: else -> skip fi
}
inline act_DESTROY(k, g, v) {
  assert(cur[k] != g);                                           /* I3: what readers get is not destroyed */
  pend[k] = pend[k] & ~BIT(g); tomb[k] = tomb[k] | BIT(g)
}

/* Was the act's aim reached? A worker that is not sure reads the world, and never writes blindly a second time. */
#define DONE_STAGE(k, g) HAS(pend[k], g)
#define DONE_PROMOTE(k, g) (cur[k] == g)
#define DONE_RESTORE(k, g) (cur[k] == g)
#define DONE_WITHDRAW(k, g) (cur[k] != g)
#define DONE_DESTROY(k, g) HAS(tomb[k], g)

/* I6: an outcome counts for the plan that asked for it alone. */
inline record_STAGE(k, g) { assert(g == succ); staged = staged | BIT(k) }     /* I6 */
inline record_PROMOTE(k, g) { assert(g == succ); moved = moved | BIT(k) }     /* I6 */
inline record_RESTORE(k, g) { assert(g == base); goback = goback & ~BIT(k) } /* I6 */
inline record_WITHDRAW(k, g) { out[k] = out[k] | BIT(g) }
inline record_DESTROY(k, g) { skip }

#define WANTS_STAGE(k, g) (g == succ && WANT_STAGE(k))
#define WANTS_PROMOTE(k, g) (g == succ && WANT_PROMOTE(k))
#define WANTS_RESTORE(k, g) (g == base && WANT_RESTORE(k))
#define WANTS_WITHDRAW(k, g) WANT_WITHDRAW(k, g)
#define WANTS_DESTROY(k, g) WANT_DESTROY(k, g)

/* A worker takes a due effect, acts and records the outcome; or takes it and is not heard of for a while. */
#define EFFECT(kind, k, g) \
  :: d_step { outcome == OPEN && WANTS_##kind(k, g) && TAKEABLE(k, kind, g) -> \
       act_##kind(k, g, ver[k]); record_##kind(k, g); printf("STEP effect-done "); printf(#kind); printf(" %d g%d\n", k, g) } \
  :: d_step { outcome == OPEN && WANTS_##kind(k, g) && TAKEABLE(k, kind, g) && lates > 0 && lkind == NOTHING -> \
       lates--; lkind = kind; lstore = k; lgen = g; lver = ver[k]; lheld = true; lold = false; \
       printf("STEP worker-paused "); printf(#kind); printf(" %d g%d\n", k, g) }

proctype Store(byte k) {
end: do :: atomic {
  if
  EFFECT(STAGE, k, succ)
  EFFECT(PROMOTE, k, succ)
  EFFECT(RESTORE, k, base)
  EFFECT(WITHDRAW, k, 0)
  EFFECT(WITHDRAW, k, 1)
  EFFECT(WITHDRAW, k, 2)
  EFFECT(DESTROY, k, 0)
  EFFECT(DESTROY, k, 1)
  EFFECT(DESTROY, k, 2)
  fi;
  d_step { check() } } od
}

/*
 * The paused worker: it lives on and acts with what it read before, or it was killed. Its call ends before its lease,
 * unless PAUSE says that it may also come later: then only what the other side checks helps.
 */
inline forget_late() {
  lkind = NOTHING; lstore = 0; lgen = 0; lver = 0; lheld = false; lold = false;
#ifdef OUTBOUND
  refused = false
#endif
}
#ifdef BUG_LATE_OUTCOME
#define COUNTS (lkind != NOTHING)
#else
#define COUNTS (lheld && !lold)
#endif
#ifdef OUTBOUND
#define REFUSED refused
#else
#define REFUSED false
#endif
#define LANDS(kind) \
  :: lkind == kind -> if :: REFUSED -> skip :: else -> act_##kind(lstore, lgen, lver) fi; \
       if :: COUNTS && LATE_WANTS_##kind && LATE_DONE(DONE_##kind(lstore, lgen)) -> record_##kind(lstore, lgen) :: else -> skip fi
#ifdef BUG_LATE_OUTCOME
#define LATE_DONE(done) true
#define LATE_WANTS_STAGE WANT_STAGE(lstore)
#define LATE_WANTS_PROMOTE WANT_PROMOTE(lstore)
#define LATE_WANTS_RESTORE WANT_RESTORE(lstore)
#else
#define LATE_DONE(done) done
#define LATE_WANTS_STAGE WANTS_STAGE(lstore, lgen)
#define LATE_WANTS_PROMOTE WANTS_PROMOTE(lstore, lgen)
#define LATE_WANTS_RESTORE WANTS_RESTORE(lstore, lgen)
#endif
#define LATE_WANTS_WITHDRAW WANTS_WITHDRAW(lstore, lgen)
#define LATE_WANTS_DESTROY WANTS_DESTROY(lstore, lgen)
#define LOSES(kind) :: lkind == kind -> if :: REFUSED -> skip :: else -> act_##kind(lstore, lgen, lver) fi

#ifdef PAUSE
#define MAY_LAND (lkind != NOTHING)
#else
#define MAY_LAND (lkind != NOTHING && lheld)
#endif

proctype Late() {
end: do :: atomic {
  if
  :: d_step { outcome == OPEN && MAY_LAND ->
       printf("STEP late-act %d %d g%d\n", lkind, lstore, lgen);
       if
       LANDS(STAGE)
       LANDS(PROMOTE)
       LANDS(RESTORE)
       LANDS(WITHDRAW)
       LANDS(DESTROY)
#ifdef OUTBOUND
       LANDS(INSTALL)
       LANDS(SUSPEND)
       LANDS(REINST)
       LANDS(REVOKE)
#endif
       fi;
       forget_late() }
  :: d_step { outcome == OPEN && MAY_LAND && COUNTS ->           /* killed after the act: nobody hears of the outcome */
       printf("STEP late-act-unheard %d %d g%d\n", lkind, lstore, lgen);
       if
       LOSES(STAGE)
       LOSES(PROMOTE)
       LOSES(RESTORE)
       LOSES(WITHDRAW)
       LOSES(DESTROY)
#ifdef OUTBOUND
       LOSES(INSTALL)
       LOSES(SUSPEND)
       LOSES(REINST)
       LOSES(REVOKE)
#endif
       fi;
       forget_late() }
  :: d_step { outcome == OPEN && lheld ->
       printf("STEP lease-ended\n");
#ifdef PAUSE
       lheld = false
#else
       forget_late()                                             /* killed before the act */
#endif
     }
  fi;
  d_step { check() } } od
}

/* ---- nodes ---- */

inline apply(i, r) {
#ifndef BUG_OLD_REVISION
  assert(r > nrev[i]);                                           /* I6 */
#endif
  nrev[i] = r; has[i] = hist[r]; on[i] = true;
#ifndef BUG_OLD_REVISION
  if :: old[i] <= r -> old[i] = 0 :: else -> skip fi;
#endif
#ifdef TEXT_EXCUSE
  if :: exc[i] == 1 -> exc[i] = 3 :: else -> skip fi;            /* still not asked, and ready */
#endif
  if :: r == des[i] -> behind[i] = false; if :: exc[i] == 2 -> exc[i] = 0 :: else -> skip fi :: else -> skip fi
}

/* A session begins with a fresh read of the ledger, through whichever fleet instance the node found. */
inline connect(i) {
  conn[i] = true; prf[i] = 0; des[i] = rev; old[i] = 0;
  assert(hist[rev] == DESIRED);                                  /* the model itself: what is told is what the rules say now */
#ifdef BUG_REPLAYED_FIRST
  if :: nrev[i] == 0 -> old[i] = rev - 1 :: else -> skip fi;
#endif
  if :: on[i] && nrev[i] == rev -> behind[i] = false; if :: exc[i] != 0 -> exc[i] = 0 :: else -> skip fi
     :: else ->
#ifdef TEXT_EXCUSE
        skip
#else
        if :: exc[i] == 1 -> exc[i] = 2 :: else -> skip fi
#endif
  fi
}

inline lose_session(i) {
#ifdef BUG_STALE_SESSION
  stale[i] = nrev[i]; own[i] = 0;
#endif
  conn[i] = false; old[i] = 0
}

#define NODE(i) ((memb[i] && !off[i]))

proctype Node(byte i) {
end: do :: atomic {
  if
  /* The latest message, or an earlier one before it. What is lost is sent again; what is older than the node's is ignored. */
  :: d_step { outcome == OPEN && conn[i] && des[i] > nrev[i] && APPLICABLE(des[i]) ->
       printf("STEP node-told n%d r%d\n", name[i], des[i]); apply(i, des[i]) }
#ifdef BUG_OLD_REVISION
  :: d_step { outcome == OPEN && conn[i] && old[i] != 0 && APPLICABLE(old[i]) ->
#else
  :: d_step { outcome == OPEN && conn[i] && old[i] > nrev[i] && APPLICABLE(old[i]) ->
#endif
       printf("STEP node-told-late n%d r%d\n", name[i], old[i]); apply(i, old[i]); old[i] = 0 }
  :: d_step { outcome == OPEN && conn[i] && on[i] && nrev[i] > prf[i] && PROVABLE(i) ->
       printf("STEP node-proved n%d r%d\n", name[i], nrev[i]); prf[i] = nrev[i];
#ifdef BUG_STALE_SESSION
       own[i] = nrev[i];
#endif
     }
#ifdef BUG_STALE_SESSION
  :: d_step { outcome == OPEN && conn[i] && stale[i] > prf[i] ->
       printf("STEP node-proved-stale n%d r%d\n", name[i], stale[i]); prf[i] = stale[i] }
#endif
  :: d_step { outcome == OPEN && restarts > 0 && NODE(i) && (on[i] || conn[i]) ->
       printf("STEP node-restarted n%d\n", name[i]);
       restarts--; lose_session(i);
#ifdef BUG_SERVES_STALE
       if :: nrev[i] > 1 -> has[i] = hist[nrev[i] - 1] :: else -> skip fi;   /* what its disk held one revision ago */
       nrev[i] = 0;
#else
       on[i] = false; nrev[i] = 0; has[i] = 0;
#endif
     }
  :: d_step { outcome == OPEN && drops > 0 && NODE(i) && conn[i] ->
       printf("STEP node-dropped n%d\n", name[i]); drops--; lose_session(i) }
  :: d_step { outcome == OPEN && NODE(i) && !conn[i] ->
       printf("STEP node-connected n%d\n", name[i]); connect(i) }
  :: d_step { outcome == OPEN && offs > 0 && NODE(i) ->
       printf("STEP node-off n%d\n", name[i]);
       offs--; lose_session(i); off[i] = true; on[i] = false; nrev[i] = 0; has[i] = 0 }
  :: d_step { outcome == OPEN && off[i] && memb[i] ->            /* a human says so, and it is so */
       printf("STEP node-gone n%d\n", name[i]);
       memb[i] = false; exc[i] = 0; behind[i] = false; des[i] = 0; prf[i] = 0 }
  :: d_step { outcome == OPEN && excuses > 0 && memb[i] && !conn[i] && exc[i] == 0 ->
       printf("STEP node-excused n%d\n", name[i]); excuses--; exc[i] = 1 }
  :: d_step { outcome == OPEN && joins > 0 && !memb[i] && !off[i] ->
       printf("STEP node-joined n%d\n", name[i]); joins--; memb[i] = true; connect(i);
#ifdef BUG_GATE_IGNORES_JOINER
       joined[i] = true;
#endif
     }
#ifdef STORE_BOOT
  /* Rekey is away: the node takes what a store shows, if that works. It is not in session, so nothing is proved by it. */
  :: d_step { outcome == OPEN && NODE(i) && !on[i] && !conn[i] && cur[0] != NOGEN && WORKS(BIT(cur[0])) ->
       printf("STEP node-booted n%d g%d\n", name[i], cur[0]); on[i] = true; has[i] = BIT(cur[0]) }
  :: d_step { outcome == OPEN && NODE(i) && !on[i] && !conn[i] && cur[1] != NOGEN && WORKS(BIT(cur[1])) ->
       printf("STEP node-booted n%d g%d\n", name[i], cur[1]); on[i] = true; has[i] = BIT(cur[1]) }
#endif
  fi;
  d_step { check() } } od
}

/* ---- clients ---- */

/* A client reads a store when it likes, either of the two, or (CLIENT) always the same one. */
#define READS(k) :: d_step { outcome == OPEN && cur[k] != NOGEN && cli != cur[k] && (step != NOSUCC || cli != NOGEN) -> \
       printf("STEP client-moved %d g%d\n", k, cur[k]); cli = cur[k] }
proctype Client() {
end: do :: atomic {
  if
#ifdef CLIENT
  READS(CLIENT)
#else
  READS(0)
  READS(1)
#endif
#ifdef OFFBOARD
  :: d_step { outcome == OPEN && cli != NOGEN -> printf("STEP client-stopped\n"); cli = NOGEN }
#endif
  fi;
  d_step { check() } } od
}

/* ---- people, and the audit topic ---- */

/* Which generation exists, is not past its end already, and leaves a number for the one that follows. */
#define KNOWN(g) (g < succ || (g == succ && step >= STAGING && step <= ABANDONED))
#define LEAVES_ROOM(g) (step == NOSUCC || succ + 1 < G || (g != succ || step == ABANDONED) && !(step == ABANDONED && g == base && !follow))
#define MAY_LEAK(g, m) (outcome == OPEN && leaks > 0 && HAS(LEAK_GENS, g) && (LEAK_MODES & m) && KNOWN(g) && \
  !PAST(g) && (!HAS(comp, g) || m > mode) && LEAVES_ROOM(g))
#define CHOOSE(g, m) :: MAY_LEAK(g, m) -> a = g; b = m
#define MAY_ROLL_BACK (outcome == OPEN && rollbacks > 0 && step <= LIVE && !PAST(base) && !HAS(comp, base))
#define ACKNOWLEDGED(g) :: d_step { outcome == OPEN && HAS(ann, g) && !HAS(acked, g) -> \
       printf("STEP audit-acknowledged g%d\n", g); acked = acked | BIT(g) }

proctype People() {
end: do :: atomic {
  if
  :: leaks > 0 && (MAY_LEAK(0, EXPEDITE) || MAY_LEAK(1, EXPEDITE) || MAY_LEAK(2, EXPEDITE) ||
       MAY_LEAK(0, CONTAIN) || MAY_LEAK(1, CONTAIN) || MAY_LEAK(2, CONTAIN)) ->
     if
     CHOOSE(0, EXPEDITE)
     CHOOSE(1, EXPEDITE)
     CHOOSE(2, EXPEDITE)
     CHOOSE(0, CONTAIN)
     CHOOSE(1, CONTAIN)
     CHOOSE(2, CONTAIN)
     fi;
     d_step { printf("STEP leak g%d mode%d\n", a, b); leaks--; leaked(a, b); a = 0; b = 0 }
  :: d_step { MAY_ROLL_BACK -> printf("STEP rollback\n"); rollbacks--; abandon(false) }
  :: d_step { outcome == OPEN && holds > 0 && mode == ROTATE && !held -> printf("STEP hold\n"); holds--; held = true }
  :: d_step { outcome == OPEN && held -> printf("STEP resume\n"); held = false }
  ACKNOWLEDGED(0)
  ACKNOWLEDGED(1)
  ACKNOWLEDGED(2)
  fi;
  d_step { check() } } od
}
