package server_test

import (
	"testing"

	"herosup/zinit/zinittest"
)

// The server is held to the same contract as the original.
func TestContract(t *testing.T) {
	zinittest.Run(t, func(t *testing.T) string { return zinittest.Start(t).Socket })
}

// The contract is held against the original, where there is one.
func TestContractOfTheOriginal(t *testing.T) {
	if newServer, ok := zinittest.OriginalOrSay(t); ok {
		zinittest.Run(t, newServer)
	}
}
