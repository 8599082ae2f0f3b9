// Package cli is the supnode command: it starts nodes from config files (start, dev, config check) and asks a cluster
// over HTTP (everything else). Exit statuses are a contract: 0 done, 1 the cluster said no or could not be asked, 2 wrong
// usage or a wrong file, with nothing started.
package cli
