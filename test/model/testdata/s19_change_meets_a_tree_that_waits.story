# A manifest is applied while a child of a tree waits for a node: the leader says so again, for whoever applied it.
register n1 ; register n2 ; register n3 ; start a one_for_all max=0/1s w1:permanent{one_for_all,max=0/1s,w1:temporary,w2:permanent,w3:permanent} w2:temporary w3:permanent w4:permanent
down n1 | a/w1/w1@n2
running a/w1/w1#3 | a/w1/w2@n2
running a/w1/w2#4 | a/w1/w3@n3
running a/w1/w3#5 | a/w2@n2
running a/w2#6 | a/w3@n3
running a/w3#7 | a/w4@n2
running a/w4#8
ended a/w3#7 node_down
ended a/w4#8 shutdown
ended a/w2#6 shutdown
+5s apply a one_for_all max=0/1s auto=any w1:permanent{one_for_all,max=0/1s,w1:temporary,w2:permanent,w3:permanent} w3:permanent w4:permanent
bump ; released
+2s tick |  | a/w1/w1!no_available_node
