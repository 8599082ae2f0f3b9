# A manifest waits while a tree starts; then no child of that tree has a node: the manifest is carried out in one go.
register n1 ; register n2 ; register n3 ; start a one_for_all max=0/1s w1:permanent{one_for_one,max=1/1s,w1:permanent,w2:permanent,w3:temporary} w2:permanent w3:temporary w4:permanent
tick | a/w1/w1@n1 a/w1/w2@n2 a/w1/w3@n3
down n1 | a/w1/w1@n2
running a/w1/w1#4
running a/w1/w2#3
running a/w1/w3#3 | a/w2@n2
running a/w2#7 | a/w3@n3
running a/w3#8 | a/w4@n2
running a/w4#9
ended a/w2#7 node_down
ended a/w1/w1#4 normal | a/w1/w1@n2
tick ; running a/w1/w1#12
apply a one_for_all max=0/1s w1:permanent{one_for_one,max=1/1s,w1:permanent,w2:permanent,w3:temporary} w2:permanent w3:temporary
bump ; released
tick |  | a/w1/w1!no_available_node a/w1/w2!no_available_node a/w1/w3!no_available_node
