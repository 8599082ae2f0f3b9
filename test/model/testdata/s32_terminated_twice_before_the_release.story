# After a restore and before its release a tree that has not begun is terminated by two.
register n1
bump
start b one_for_all w2:permanent w1:permanent{one_for_one}
terminate b/w1
terminate b/w1
released
