// Command supnode runs nodes and asks clusters; see supnode --help.
package main

import "github.com/supnode/supnode"

func main() { supnode.Main() }
