# The fullest node has a child that only n3 can take, and n3 has room for it when it has given one to n2.
register n1 ; register n2 ; register n3 ; start a one_for_one sel=round_robin x:permanent^a p:permanent@n1 q:permanent@n1 y:permanent z:permanent@n3 | a/x@n1 a/p@n1 a/q@n1 a/y@n3 a/z@n3
running a/x#2
running a/p#2
running a/q#2
running a/y#2
running a/z#2
rebalance
