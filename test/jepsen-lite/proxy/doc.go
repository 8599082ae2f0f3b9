// Package proxy is the network between the nodes of a cluster: one listener per directed link from → to. A node is told
// the addresses of its own links in place of its peers', so that every byte between two nodes passes here and can be
// delayed, held, refused or reset, each direction by itself.
//
// Held bytes are kept and arrive later, as TCP retransmits after a partition; so does the end of a connection. A cut from
// a to b holds what a sends to b on any connection: those that a made and those that b made.
//
// Invariant: what arrives is a prefix of what was sent, in order, never altered. It must not know what the bytes mean.
//
//	net, err := proxy.New(map[string]string{"n1": addr1, "n2": addr2, "n3": addr3})
//	net.Addr("n1", "n2") // where n1 is to find n2
//	net.Cut("n1", "n2")  // nothing goes from n1 to n2; n2 still reaches n1
//	net.Join()           // all links pass again
package proxy
