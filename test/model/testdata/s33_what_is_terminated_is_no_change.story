# Somebody terminates what a manifest leaves out, before it is carried out: it has nothing to do, and is answered at once.
register n1 ; register n2 ; register n3 ; start a one_for_one max=0/1s w1:permanent w2:permanent | a/w1@n1 a/w2@n1
apply a one_for_one max=0/1s w2:permanent
running a/w1#2
terminate a/w1
running a/w2#2
