# A tree of three levels in which each level has had enough: its end is an exit of the level above, which restarts it with its
# initial children, or has had enough too. A restart finds no node and waits.
register n1
start a one_for_all max=1/5s w1:permanent{rest_for_one,max=0/5s,w1:permanent{one_for_one,max=1/5s,w1:permanent,w2:temporary}} | a/w1/w1/w1@n1 a/w1/w1/w2@n1
running a/w1/w1/w1
running a/w1/w1/w2
ended a/w1/w1/w1 error | a/w1/w1/w1@n1
running a/w1/w1/w1
ended a/w1/w1/w1 error
ended a/w1/w1/w2 shutdown | | a/w1/w1/w1!no_available_node a/w1/w1/w2!no_available_node
+10s tick | a/w1/w1/w1@n1 a/w1/w1/w2@n1
running a/w1/w1/w1
running a/w1/w1/w2
down n1
stop a/w1 enough
stop a
