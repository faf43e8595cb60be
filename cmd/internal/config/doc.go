// Package config reads the configuration file. None is needed: without one, a
// pool is made for each interpreter found on the machine.
//
// A file is YAML with the keys of Config. Unknown keys, doubled keys and values
// out of range are errors that name file, line and column, what was got and what
// is allowed; all values are checked, not only up to the first fault. Keys that
// are part of the design but not built yet are refused as such, not ignored.
package config
