package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"herosup/zinit"
)

// verb is a command that changes one service.
type verb struct {
	use, short, long, example string
	args                      cobra.PositionalArgs
	// stops adds --timeout: it waits for an end.
	stops bool
	// do gives the fact that came of it.
	do func(ctx context.Context, z *zinit.Client, args []string) (fact, error)
}

func zinitVerbs() []verb {
	return []verb{
		{
			use: "start SERVICE", short: "Start a service",
			example: "  herosup zinit start web",
			do: func(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
				return startService(ctx, z, args[0])
			},
		},
		{
			use: "stop SERVICE", short: "Stop a service and wait until it is gone", stops: true,
			example: "  herosup zinit stop web\n  herosup zinit stop database --timeout 5m",
			do: func(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
				return stopService(ctx, z, args[0])
			},
		},
		{
			use: "restart SERVICE", short: "Stop a service, wait until it is gone, and start it", stops: true,
			long: "Stop a service, wait until it is gone, and start it. Its file is not read again:\n" +
				"for that, stop, forget and monitor it.",
			example: "  herosup zinit restart web",
			do: func(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
				if _, err := stopService(ctx, z, args[0]); err != nil {
					return fact{}, err
				}
				f, err := startService(ctx, z, args[0])
				f.Fact = strings.Replace(f.Fact, "started", "restarted", 1)
				return f, err
			},
		},
		{
			use: "kill SERVICE [SIGNAL]", short: "Send a signal to a service's process group", args: cobra.RangeArgs(1, 2),
			long: "Send a signal (default SIGTERM) to a service's process group. A service that ends by it\n" +
				"is started again by the zinit; `stop` ends it for good.",
			example: "  herosup zinit kill web SIGHUP\n  herosup zinit kill web",
			do:      killService,
		},
		{
			use: "monitor SERVICE", short: "Take up a service file and start it",
			example: "  herosup zinit monitor web        reads web.yaml in the zinit's folder",
			do:      monitorService,
		},
		{
			use: "forget SERVICE", short: "Drop a stopped service; its file stays",
			example: "  herosup zinit stop web && herosup zinit forget web",
			do: func(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
				return fact{Service: args[0], Fact: "forgot " + args[0]}, z.Forget(ctx, args[0])
			},
		},
	}
}

func (d *zinitDoor) verbCommand(v verb) *cobra.Command {
	var patience time.Duration
	c := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Example: v.example, Args: v.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			return d.with(cmd, patience, func(ctx context.Context, z *zinit.Client) error {
				f, err := v.do(ctx, z, args)
				if errors.Is(err, errNotEnded) {
					return notEnded(v, args[0], patience)
				}
				if err != nil {
					return refusedBy(ctx, z, err, args[0])
				}
				return f.show(cmd, asJSON)
			})
		},
	}
	if c.Args == nil {
		c.Args = cobra.ExactArgs(1)
	}
	if v.stops {
		c.Flags().DurationVar(&patience, "timeout", zinit.DefaultStopTimeout, "how long to wait for its end")
	}
	d.outputFlag(c)
	return c
}

// startService starts a service and waits for what became of that.
func startService(ctx context.Context, z *zinit.Client, name string) (fact, error) {
	before, err := z.Status(ctx, name)
	if err != nil {
		return fact{}, err
	}
	if err := z.Start(ctx, name); err != nil {
		return fact{}, err
	}
	now, err := await(ctx, z, name, func(s zinit.Status) bool { return startSettled(before, s) })
	if err != nil {
		return fact{}, err
	}
	return startFact("started", before, now)
}

func monitorService(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
	if err := z.Monitor(ctx, args[0]); err != nil {
		return fact{}, err
	}
	var none zinit.Status
	now, err := await(ctx, z, args[0], func(s zinit.Status) bool { return startSettled(none, s) })
	if err != nil {
		return fact{}, err
	}
	return startFact("monitors", none, now)
}

// errNotEnded says that a stop has taken longer than it may.
var errNotEnded = errors.New("it has not ended")

// notEnded is errNotEnded in the user's words. The zinit goes on with the stop.
func notEnded(v verb, name string, patience time.Duration) error {
	err, then := fmt.Errorf("%s has not ended after %s", name, patience), ""
	if strings.HasPrefix(v.use, "restart") {
		err, then = fmt.Errorf("%w, and is not started again", err), "; then start it"
	}
	return hinted(exitTimedOut, err, "the zinit goes on stopping it (`herosup zinit status "+name+
		"`), and ends it at once by `herosup zinit kill "+name+" SIGKILL`"+then)
}

// stopService is no error for a service that is down.
func stopService(ctx context.Context, z *zinit.Client, name string) (fact, error) {
	err := z.Stop(ctx, name)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fact{}, errNotEnded
	}
	if err != nil && !errors.Is(err, zinit.ServiceIsDown) {
		return fact{}, err
	}
	now, err := await(ctx, z, name, func(s zinit.Status) bool { return s.PID == 0 })
	if err != nil {
		return fact{}, err
	}
	return stopFact(now)
}

func killService(ctx context.Context, z *zinit.Client, args []string) (fact, error) {
	signal := "SIGTERM"
	if len(args) == 2 {
		signal = args[1]
	}
	if _, err := zinit.ParseSignal(signal); err != nil {
		return fact{}, usagef("%w", err)
	}
	before, err := z.Status(ctx, args[0])
	if err != nil {
		return fact{}, err
	}
	f := factOf(before, fmt.Sprintf("sent %s to %s (pid %d)", signal, args[0], before.PID))
	return f, z.Kill(ctx, args[0], signal)
}

// settleTime bounds the wait for a service to show what became of a command. The
// original shows it within milliseconds, but answers before; what does not show
// by then is told as it is.
const settleTime = 2 * time.Second

// await asks for the status until it is settled, or settleTime is over.
func await(ctx context.Context, z *zinit.Client, name string, settled func(zinit.Status) bool) (zinit.Status, error) {
	end := time.Now().Add(settleTime)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		s, err := z.Status(ctx, name)
		if err != nil || settled(s) || time.Now().After(end) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
