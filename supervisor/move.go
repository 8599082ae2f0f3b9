package supervisor

// Move is a child that is to run on another node, as a rebalance plans it.
type Move struct {
	Supervisor Name     `json:"supervisor" cbor:"1,keyasint"`
	Child      ChildID  `json:"child" cbor:"2,keyasint"`
	From       NodeName `json:"from_node" cbor:"3,keyasint"`
	To         NodeName `json:"to_node" cbor:"4,keyasint"`
	// Incarnation is the one that moves; another one stays where it is.
	Incarnation Incarnation `json:"-" cbor:"5,keyasint"`
}

// Key names the child.
func (m Move) Key() Key { return Key{Supervisor: m.Supervisor, Child: m.Child} }
