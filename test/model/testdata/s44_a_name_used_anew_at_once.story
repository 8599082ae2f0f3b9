# A supervisor stops, its name is used again and that start fails, all in one entry.
register n1
start b one_for_one
stop b ; start b one_for_one w3:transient{simple_one_for_one,t:permanent} w2:transient |  | b/w2!no_available_node
