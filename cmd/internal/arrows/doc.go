// Package arrows holds the test of who may import whom. It is the same rule as
// depguard's in .golangci.yml, for those who run only the tests.
package arrows
