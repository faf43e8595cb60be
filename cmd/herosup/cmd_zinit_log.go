package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herosup/zinit"
)

func (d *zinitDoor) logCommand() *cobra.Command {
	var snapshot bool
	c := &cobra.Command{
		Use: "log [SERVICE]", Short: "Print what services wrote, and follow", Args: cobra.MaximumNArgs(1),
		Example: `  herosup zinit log web                follow; Ctrl-C ends it
  herosup zinit log -s                 what is kept of all services
  herosup zinit log -s web -o json     an object per line: service, stream, text`,
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			name := strings.Join(args, "")
			return d.with(cmd, 0, func(ctx context.Context, z *zinit.Client) error {
				if err := known(ctx, z, name); err != nil {
					return err
				}
				show := lineAsText
				if asJSON {
					show = lineAsJSON
				}
				return zinitFault(printLogs(cmd, z, name, !snapshot, show), name, nil)
			})
		},
	}
	c.Flags().BoolVarP(&snapshot, "snapshot", "s", false, "do not follow")
	d.outputFlag(c)
	return c
}

// known refuses a service that nobody monitors and that left no line: a zinit
// answers with an empty log, and following would wait for ever.
func known(ctx context.Context, z *zinit.Client, name string) error {
	if name == "" {
		return nil
	}
	_, err := z.Status(ctx, name)
	if !errors.Is(err, zinit.ServiceNotFound) {
		return nil // what else is wrong shows in the log call
	}
	if lines, err := z.CurrentLogs(ctx, name); err == nil && len(lines) > 0 {
		return nil
	}
	return refusedBy(ctx, z, err, name)
}

// showLine writes one line of a log.
type showLine func(cmd *cobra.Command, line string) error

// printLogs prints the kept lines of a service ("" for all) and follows if asked.
func printLogs(cmd *cobra.Command, z *zinit.Client, name string, follow bool, show showLine) error {
	if !follow {
		lines, err := z.CurrentLogs(cmd.Context(), name)
		for _, l := range lines {
			if err := show(cmd, l); err != nil {
				return err
			}
		}
		return err
	}
	stream, err := z.FollowLogs(cmd.Context(), name)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		line, err := stream.Next(cmd.Context())
		if cmd.Context().Err() != nil {
			return nil // being interrupted is how following ends
		}
		if errors.Is(err, io.EOF) {
			return hinted(exitNoDaemon, fmt.Errorf("the zinit at %s has ended the log: it has gone", z.Socket()),
				"`herosup zinit list` shows whether it is there again")
		}
		if err != nil {
			return err
		}
		if err := show(cmd, line); err != nil {
			return err
		}
	}
}

func lineAsText(cmd *cobra.Command, line string) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), oneLine(line))
	return err
}

// logLine is one line of a log as data.
type logLine struct {
	// Service is "" for a line that no service wrote.
	Service string `json:"service"`
	// Stream is stdout, stderr or zinit.
	Stream string `json:"stream"`
	Text   string `json:"text"`
}

func lineAsJSON(cmd *cobra.Command, line string) error {
	return json.NewEncoder(cmd.OutOrStdout()).Encode(takeApart(line))
}

// takeApart reads a line: "[+] web: text" (stdout), "[-] web: text" (stderr).
func takeApart(line string) logLine {
	marks := []string{"[+] ", "[-] "}
	i := slices.IndexFunc(marks, func(m string) bool { return strings.HasPrefix(line, m) })
	if i < 0 {
		return logLine{Stream: "zinit", Text: line}
	}
	name, text, ok := strings.Cut(line[len(marks[i]):], ": ")
	if !ok || zinit.ValidName(name) != nil {
		return logLine{Stream: "zinit", Text: line}
	}
	return logLine{Service: name, Stream: []string{"stdout", "stderr"}[i], Text: text}
}
