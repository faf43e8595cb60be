package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"herosup/events"
)

func (a *app) eventsCommand() *cobra.Command {
	var count int
	c := &cobra.Command{
		Use:   "events [FILTER]",
		Short: "Watch what happens, a line per event",
		Long: `Prints each fact as it happens until interrupted. FILTER is a subject below
hero.evt, with the wildcards of NATS: 'job.>', 'actor.changed.bash.*'.`,
		Example: "  herosup events 'job.>'\n  herosup events -o json | jq .type",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if count < 0 {
				return usagef("--count %d: want 1 or more, or 0 for no end", count)
			}
			filter := ">"
			if len(args) == 1 {
				filter = strings.TrimPrefix(strings.TrimPrefix(args[0], "hero."), "evt.")
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			sub, err := d.bus.Subscribe(events.Pattern("evt." + filter))
			if err != nil {
				return usagef("filter %q: %w", filter, err)
			}
			for n := 0; count == 0 || n < count; n++ {
				select {
				case <-cmd.Context().Done():
					return nil // being interrupted is how a watch ends
				case raw := <-sub.C:
					if err := printEvent(cmd.OutOrStdout(), sub, raw, asJSON); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	a.outputFlag(c)
	c.Flags().IntVarP(&count, "count", "n", 0, "end after this many events")
	return c
}

func printEvent(w io.Writer, sub *events.Subscription, raw *nats.Msg, asJSON bool) error {
	if asJSON { // one envelope a line, as it is on the bus
		_, err := fmt.Fprintf(w, "%s\n", raw.Data)
		return err
	}
	m, err := sub.Open(raw)
	if err != nil { // a newer daemon's event: show it rather than hide it
		_, err = fmt.Fprintln(w, oneLine(raw.Subject))
		return err
	}
	var fields map[string]any
	data, err := json.Marshal(m.Event)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	tokens := strings.Split(m.On, ".")
	skip := events.KindOf(m.Event).Tokens // already in the subject
	var rest []string
	for _, k := range orderedKeys(data) {
		if !slices.Contains(skip, k) {
			v, _ := json.Marshal(fields[k])
			rest = append(rest, k+"="+oneLine(string(v)))
		}
	}
	_, err = fmt.Fprintf(w, "%s  %s  %s\n", m.Time.Local().Format("15:04:05.000"), strings.Join(tokens[2:], "."), strings.Join(rest, " "))
	return err
}

// orderedKeys are an object's keys in the order they stand.
func orderedKeys(object []byte) []string {
	dec := json.NewDecoder(strings.NewReader(string(object)))
	var keys []string
	if _, err := dec.Token(); err != nil {
		return nil
	}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return keys
		}
		keys = append(keys, fmt.Sprint(k))
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return keys
		}
	}
	return keys
}
