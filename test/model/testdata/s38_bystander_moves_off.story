# A significant temporary child is on its way off a node that leaves when its group fails: it goes down with its group, a
# bystander, no end that stops the supervisor. The FSM took it for one.
register n1
register n2
register n3
start a one_for_all max=1/1s auto=any w1:temporary w2:permanent w3:temporary* | a/w1@n2
running a/w1 | a/w2@n1
running a/w2 | a/w3@n2
running a/w3
leave n2
ended a/w2 normal
ended a/w3 shutdown
ended a/w1 shutdown | a/w2@n1
running a/w2
