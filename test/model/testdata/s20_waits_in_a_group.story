# S20, S11: a child waits after its crash; the group starts anew meanwhile because an earlier one crashed. The wait is what it was.
register n1
start a one_for_all max=9/5s w1:permanent w2:permanent~ | a/w1@n1
running a/w1 | a/w2@n1
running a/w2
ended a/w2 error
ended a/w1 shutdown | a/w1@n1
running a/w1 | a/w2@n1
ended a/w1 error | a/w1@n1
running a/w1 | a/w2@n1
tick | a/w2@n1
+1s tick | a/w2@n1
running a/w2
