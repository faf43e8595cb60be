package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"herosup/events"
	"herosup/events/embedded"
)

// natsContext is the file format of the stock nats CLI's contexts.
type natsContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	Nkey        string `json:"nkey,omitempty"`
	Creds       string `json:"creds,omitempty"`
	CA          string `json:"ca,omitempty"`
}

func (a *app) natsContextCommand() *cobra.Command {
	var role, save string
	c := &cobra.Command{
		Use:   "nats-context",
		Short: "A context for the stock nats CLI, to publish jobs and watch events with it",
		Long: `Prints the context as JSON, or stores it where the nats CLI looks for it.

Roles: operator (everything), submitter (jobs only), observer (events only). They are those
of our own server: with nats.url the context is that of the daemon's user, and others are
yours to make (operator: hero.cmd.>, $SRV.>, hero.evt.>; submitter:
hero.cmd.job.{submit,run,create,batch,await,cancel,retry}.>; observer: hero.evt.>), each in
an account of its own: within one, a submitter can have an answer arrive as a command.
The nats CLI treats payloads as templates: give pub and req --no-templates.`,
		Example: `  herosup nats-context --save herosup
  nats --context herosup req --no-templates hero.cmd.job.run.bash 'echo hi'
  nats --context herosup sub 'hero.evt.>'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := embedded.ParseRole(role)
			if err != nil {
				return usagef("%w", err)
			}
			f, run, err := a.running()
			if err != nil {
				return err
			}
			nc := natsContext{Description: "herosup " + f.ID + " " + role, URL: run.NATS, Nkey: embedded.KeyFile(f.Path("nats"), r)}
			if x := run.External; x != nil {
				if r != embedded.Operator {
					return hinted(exitRefused, fmt.Errorf("role %s is one of our own server's, and the bus is on yours", r),
						"make a user there that may publish and subscribe what the role may: herosup nats-context --help")
				}
				nc.URL, nc.Nkey, nc.Creds, nc.CA = x.URL, x.NKey, x.Creds, x.CA
			}
			if save == "" {
				return printJSON(cmd.OutOrStdout(), nc)
			}
			file, err := saveContext(save, nc)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			a.note(cmd, "use it: nats --context %s sub '%s.evt.>'", save, run.Prefix)
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", string(embedded.Operator), "`operator`, submitter or observer")
	c.Flags().StringVar(&save, "save", "", "store it under this `name`")
	return c
}

// saveContext replaces a context of ours; one that somebody else made is kept.
func saveContext(name string, nc natsContext) (string, error) {
	if err := events.CheckToken("context name", name); err != nil {
		return "", usagef("%w", err)
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("save context: %w", err)
		}
		dir = filepath.Join(home, ".config")
	}
	file := filepath.Join(dir, "nats", "context", name+".json")
	var old natsContext
	if b, err := os.ReadFile(file); err == nil {
		if json.Unmarshal(b, &old) != nil || len(old.Description) < 8 || old.Description[:8] != "herosup " {
			return "", hinted(exitRefused, fmt.Errorf("context %s exists and is not one of ours: %s", name, file), "choose another name")
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("save context: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("save context: %w", err)
	}
	b, err := json.MarshalIndent(nc, "", "  ")
	if err != nil {
		return "", err
	}
	if err := renameio.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("save context: %w", err)
	}
	return file, nil
}
