// Package config reads a node's config file (docs: the config file) and turns it into what a node and its admin server
// are started with. Whatever is wrong is a yamlfile.Errors: file, line, column, what is wrong and what would be right.
// Nothing is opened or created; certificates are read, to say early that they do not fit.
//
//	c, err := config.Load("n1.yaml")
package config
