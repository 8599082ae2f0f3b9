# S20: a child that crashes again and again waits 1s, 2s, 4s, 4s; an early placement is ignored; a long run begins anew; by hand it
# starts at once; its group waits with it.
register n1
start a rest_for_one max=9/5s w1:permanent~ w2:transient | a/w1@n1
running a/w1 | a/w2@n1
running a/w2
ended a/w1 error
ended a/w2 shutdown | a/w1@n1
+1s tick | a/w1@n1
initfailed a/w1 | a/w1@n1
+2s tick | a/w1@n1
running a/w1 | a/w2@n1
running a/w2
+5s ended a/w1 error
ended a/w2 shutdown
+1s tick | a/w1@n1
running a/w1 | a/w2@n1
ended a/w1 error
ended a/w2 shutdown
restart a/w1 | a/w1@n1
running a/w1 | a/w2@n1
