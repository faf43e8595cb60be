package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"herosup/zinit/server"
)

func (a *app) zinitInitCommand(socket *string) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "init --config DIR --socket PATH", Short: "Run our process manager in the foreground", Args: cobra.NoArgs,
		Long: "Run our process manager in the foreground. TERM, INT, HUP and `zinit shutdown` stop all\n" +
			"services, dependents first. As a machine's first process (PID 1, not a container's) it then\n" +
			"powers the machine off; /proc, and /sys/fs/cgroup for bounds, have to be mounted before.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" || *socket == "" {
				return usagef("give --config and --socket")
			}
			if err := unmarked(); err != nil {
				return err
			}
			outliveReaders()
			log, err := a.logger(cmd, "info", "auto")
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if dir, err = filepath.Abs(dir); err != nil { // the keeper runs elsewhere
				return err
			}
			ctx := cmd.Context()
			if !signal.Ignored(syscall.SIGHUP) { // by nohup
				var stop func()
				ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
				defer stop()
			}
			err = server.Run(ctx, server.Config{
				Dir: dir, Socket: *socket, Log: log, Keeper: []string{self, "zinit", "keep", "--config", dir},
			})
			reboot := errors.Is(err, server.ErrReboot)
			if err != nil && !reboot {
				return err
			}
			if isFirstOfMachine() {
				return endMachine(reboot)
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "config", "", "`folder` of the service files")
	return c
}

// isFirstOfMachine reports whether the machine ends with this process: it is the first
// one, and not that of a container, which has a PID namespace of its own.
func isFirstOfMachine() bool {
	const machine = 0xEFFFFFFC // the number of the first PID namespace (linux/proc_ns.h)
	var ns unix.Stat_t
	return os.Getpid() == 1 && unix.Stat("/proc/self/ns/pid", &ns) == nil && ns.Ino == machine
}

// endMachine is for a first process, whose end would be a panic of the kernel.
func endMachine(reboot bool) error {
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_POWER_OFF
	if reboot {
		how = unix.LINUX_REBOOT_CMD_RESTART
	}
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("end the machine: %w", err)
	}
	return nil
}

// zinitKeepCommand is what a zinit of ours starts beside itself (server.Keep).
func (a *app) zinitKeepCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "keep --config DIR", Short: "Read the output of services while no zinit does", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(cmd, "info", "text")
			if err != nil {
				return err
			}
			return server.Keep(cmd.Context(), dir, log)
		},
	}
	c.Flags().StringVar(&dir, "config", "", "`folder` of the service files")
	return c
}
