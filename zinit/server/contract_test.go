package server_test

import (
	"path/filepath"
	"testing"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// The server is held to the same contract as the original, in both dialects.
func TestContract(t *testing.T) {
	for _, d := range []zinit.Dialect{zinit.JSONRPC, zinit.Text} {
		t.Run(string(d), func(t *testing.T) {
			zinittest.Run(t, func(t *testing.T) (string, zinit.Options) {
				s := zinittest.Start(t)
				return s.Socket, zinit.Options{Dialect: d, Dir: s.Dir}
			})
		})
	}
}

// The contract is held against the original, where there is one.
func TestContractOfTheOriginal(t *testing.T) {
	binary := zinittest.Original(t)
	zinittest.RunOriginal(t, func(t *testing.T) (string, zinit.Options) {
		dir := t.TempDir()
		return zinittest.StartOriginal(t, binary, dir, filepath.Join(dir, "z.sock")).Socket, zinit.Options{}
	})
}

// The rewrite is held to the part of the contract that it can keep.
func TestContractOfTheCrate(t *testing.T) {
	binary := zinittest.Crate(t)
	zinittest.Run(t, func(t *testing.T) (string, zinit.Options) {
		return zinittest.StartCrate(t, binary, t.TempDir()).Socket, zinit.Options{}
	})
}
