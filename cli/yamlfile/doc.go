// Package yamlfile reads the YAML and JSON files that people write, strictly, and knows where in the file every value
// stands, so that whoever finds one wrong can say file, line and column and show the line.
//
// What it accepts is YAML without surprises: one document, string keys, no merge keys, no tags, no key twice.
//
//	f, err := yamlfile.Parse("pool.yaml", src)
//	err = f.Decode(&manifest)                       // unknown keys and wrong types are refused, each with its place
//	err = f.Errorf("children[2].restart", "…")      // pool.yaml:9:14: …, with an excerpt
package yamlfile
