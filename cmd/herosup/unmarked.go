package main

import (
	"fmt"
	"os"
	"syscall"

	"herosup/zinit"
)

// unmarked begins the program anew where it has inherited the mark of an actor: what lives on beside the actors, such as a daemon that
// somebody starts from a terminal of an actor's, is not to be taken for one.
func unmarked() error {
	env := zinit.Unmarked(os.Environ())
	if len(env) == len(os.Environ()) {
		return nil
	}
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, os.Args, env) //nolint:gosec // this very program
	}
	return fmt.Errorf("begin anew without an actor's mark: %w", err)
}
