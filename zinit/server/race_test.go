//go:build race

package server_test

// shadow is how many times the memory of a program the race detector takes, at
// the least: it keeps four words for each of the program's.
const shadow = 5
