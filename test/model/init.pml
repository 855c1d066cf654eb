init {
  atomic {
    x = 0;

    do
    :: x < N ->
       name[x] = x;
       if :: x < N - JOINERS -> memb[x] = true; conn[x] = true; on[x] = true; des[x] = 1; nrev[x] = 1; prf[x] = 1; has[x] = 1;
#ifdef BUG_STALE_SESSION
             own[x] = 1
#else
             skip
#endif
          :: else -> skip fi;
       x++
    :: else -> break
    od;
    x = 0;
    SETUP;
    hist[1] = DESIRED;
    run Coordinator(); run Retirement(0); run Retirement(1); run Retirement(2);
    run Store(0); run Store(1); run Late(); run Client(); run People();
    OTHERS;
    run Node(0);
#if N > 1
    run Node(1);
#endif
#if N > 2
    run Node(2);
#endif
    d_step { check() }
  }
}
