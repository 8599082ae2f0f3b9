# A child that a manifest replaces has not ended: the end of another one is not that of the last (S38).
register n1 ; register n2 ; register n3 ; start a one_for_one max=0/1s auto=all w1:temporary w4:permanent* w2:temporary* | a/w1@n1 a/w4@n1 a/w2@n1
running a/w2#2
running a/w1#2
down n2
apply a one_for_one max=0/1s w4:permanent
terminate a/w2
running a/w4#2
register n1
