// Package docs runs what the documentation tells its readers to run: each sh block of a page, line for line, in one shell,
// and compares what it prints with the output block that follows. The tests that the pages name exist.
package docs
