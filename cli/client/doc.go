// Package client asks a cluster over HTTP: it tries a list of addresses in turn until one gives an answer that counts,
// and repeats a write under one idempotency key, so that it happens once however many nodes are asked.
package client
