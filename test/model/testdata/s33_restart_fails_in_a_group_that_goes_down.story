# Whoever restarts a temporary child whose init fails while its group goes down is told so; its end is none that S38 counts.
register n1 ; register n2 ; register n3 ; start a one_for_all max=1/1s w1:temporary w2:permanent w3:permanent | a/w1@n1
restart a/w1
running a/w1#2 | a/w2@n1
running a/w2#4 | a/w3@n1
running a/w3#5
ended a/w1#2 shutdown | a/w1@n3
ended a/w2#4 normal
initfailed a/w1#7
