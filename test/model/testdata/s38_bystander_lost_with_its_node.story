# A significant temporary child is to go down with its group when its node is lost: it is a bystander, no end that stops the
# supervisor. The FSM took it for one.
register n1
register n2
start a one_for_all max=1/1s auto=any w1 w2:temporary* w3 | a/w1@n1
running a/w1 | a/w2@n2
running a/w2 | a/w3@n1
running a/w3
ended a/w1 error
down n2
ended a/w3 shutdown | a/w1@n1
running a/w1 | a/w3@n1
running a/w3
