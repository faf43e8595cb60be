package main

import (
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"herosup/cmd/internal/hero"
	"herosup/dispatch/actor"
	"herosup/zinit"
)

// runOriginal is an actor that gives its jobs to a program of the original protocol.
func (f *actorFlags) runOriginal(cmd *cobra.Command, a *app, argv []string, grace time.Duration) error {
	log, err := a.logger(cmd, "info", "auto")
	if err != nil {
		return err
	}
	p, err := hero.Start(cmd.Context(), hero.Config{
		Command: argv, Type: f.jobType, Concurrency: f.concurrency, Grace: grace, Env: programEnv(), Log: log.With("actor", f.id),
	})
	if err != nil {
		return err
	}
	go func() { endAs(<-p.Lost()) }()
	runErr := f.run(cmd, a, actor.Config{Handler: p.Run, Healthy: p.Healthy})
	if err := p.Stop(); runErr == nil {
		return err
	}
	return runErr
}

// programEnv is ours without what opens the daemon's Redis: the program has one of its own; and without the actor's mark.
func programEnv() (env []string) {
	for _, v := range zinit.Unmarked(os.Environ()) {
		if name, _, _ := strings.Cut(v, "="); name != actor.PasswordEnv && name != actor.SentinelPasswordEnv {
			env = append(env, v)
		}
	}
	return env
}

// endAs ends this process as its program ended, at once: what was in hand runs again when that is seen, and the
// cause is the program's.
func endAs(e hero.Exit) {
	if e.Code >= 0 {
		os.Exit(max(1, e.Code)) // also after a 0: nobody asked it to end
	}
	// Go's runtime has handlers of its own for what it takes for faults of its program; and ours is no core to look at.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	var byDefault [4]uint64 // struct sigaction: SIG_DFL, no flags, an empty mask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(e.Signal), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	_ = unix.Kill(unix.Getpid(), e.Signal)
	<-time.After(time.Second) // a signal that does not end a process
	os.Exit(1)
}
