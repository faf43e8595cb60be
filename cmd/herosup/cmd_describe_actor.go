package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"herosup/events"
	"herosup/monitor"
	"herosup/zinit"
)

// actorView is an actor as the daemon and its process manager see it.
type actorView struct {
	monitor.Actor
	// Condition is why it is as it is, in one line.
	Condition string `json:"condition,omitempty"`
	// Service is what zinit says of it; absent when zinit does not know it, or did
	// not answer: ServiceFault says which.
	Service      *zinit.Status `json:"service,omitempty"`
	ServiceFault string        `json:"service_fault,omitempty"`
}

func (a *app) describeActor() *cobra.Command {
	c := &cobra.Command{
		Use: "actor ACTOR", Short: "Everything about one actor: its condition, process, service and last end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				v, err := d.actor(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), v)
				}
				describeActor(cmd.OutOrStdout(), v)
				return nil
			})
		},
	}
	a.outputFlag(c)
	return c
}

// actor asks the daemon, and the zinit itself for the service.
func (d *remote) actor(ctx context.Context, name string) (actorView, error) {
	list, err := d.actors(ctx, "")
	if err != nil {
		return actorView{}, err
	}
	i := slices.IndexFunc(list, func(x monitor.Actor) bool { return x.Name == name })
	if i < 0 {
		var names []string
		for _, x := range list {
			names = append(names, x.Name)
		}
		hint := "`herosup get actors` lists those that there are"
		if near := events.Nearest(name, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		return actorView{}, hinted(exitFailed, fmt.Errorf("no actor %s", name), hint)
	}
	v := actorView{Actor: list[i], Condition: why(list[i])}
	z := zinit.NewClient(d.run.Zinit, zinit.Options{})
	defer z.Close()
	s, err := z.Status(ctx, d.folder.Service(name))
	switch {
	case err == nil:
		v.Service = &s
	case errors.Is(err, zinit.ServiceNotFound):
		v.ServiceFault = "not known to zinit: it runs no process"
	default:
		v.ServiceFault = err.Error()
	}
	return v, nil
}

func describeActor(out io.Writer, v actorView) {
	line := func(name, value string) { property(out, name, value) }
	line("actor", v.Name)
	line("pool", v.Pool)
	line("type", v.Type)
	line("state", v.State)
	line("since", stampText(v.Since))
	line("condition", v.Condition)
	line("pid", fmt.Sprint(v.PID))
	if !v.Incarnation.IsZero() {
		line("incarnation", v.Incarnation.String())
	}
	line("job", inHand(v.Actor))
	line("job since", stampText(v.JobSince))
	line("last job", stampText(v.LastJob))
	line("jobs done", fmt.Sprint(v.JobsDone))
	line("restarts", fmt.Sprint(v.Restarts))
	line("pings lost", fmt.Sprint(v.PingsLost))
	line("last exit", exitText(v.LastExit))
	line("service", v.ServiceFault)
	if s := v.Service; s != nil {
		line("service", fmt.Sprintf("%s: %s, target %s", s.Name, s.State, s.Target))
		for _, n := range slices.Sorted(maps.Keys(s.After)) {
			line("after", n+": "+s.After[n].String())
		}
		line("unmet", s.Unmet)
	}
}

// exitText is how a process ended.
func exitText(x *monitor.Exit) string {
	if x == nil {
		return ""
	}
	text := fmt.Sprintf("exit status %d", x.ExitCode)
	switch {
	case x.OutOfMemory:
		text = x.Signal + ", out of memory"
	case x.Signal != "":
		text = x.Signal
	case x.ExitCode < 0:
		text = "how is not known"
	}
	if x.ByUs {
		text += ", ordered"
	}
	return text + " at " + stampText(x.At)
}
