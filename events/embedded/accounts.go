package embedded

import (
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// Account names; a role's account is its name.
const systemAccount = "system"

// answerWithin is how long an answer to a request from another account may take.
// The server drops later ones without a word, so it must exceed the longest
// job.run and job.await.
const answerWithin = 7 * 24 * time.Hour

// service is a subject that the system account answers, below the prefix.
type service struct {
	subject string
	to      []Role
	// many: several answers may come (discovery), else only the first passes.
	many bool
}

// grants is the whole table of who may ask what.
func grants(prefix string) []service {
	s := []service{
		{subject: prefix + ".cmd.>", to: []Role{Operator}},
		{subject: "$SRV.>", to: []Role{Operator}, many: true},
	}
	for _, verb := range []string{"submit.*", "run.*", "create", "batch", "await.*", "cancel.*", "retry.*"} {
		s = append(s, service{subject: prefix + ".cmd.job." + verb, to: []Role{Submitter}})
	}
	return s
}

// readers may subscribe to the facts.
var readers = []Role{Operator, Observer}

func factSubject(prefix string) string { return prefix + ".evt.>" }

// users makes the server's list of who may connect, each bound to its account
// and, as a second wall, to the subjects of its role.
func users(prefix string, accounts map[string]*server.Account, system nkeys.KeyPair, roles map[Role]nkeys.KeyPair) ([]*server.NkeyUser, error) {
	pub, err := system.PublicKey()
	if err != nil {
		return nil, err
	}
	list := []*server.NkeyUser{{
		Nkey: pub, Account: accounts[systemAccount],
		// The system's key is worthless over the network.
		AllowedConnectionTypes: map[string]struct{}{"IN_PROCESS": {}},
	}}
	for _, r := range Roles() {
		pub, err := roles[r].PublicKey()
		if err != nil {
			return nil, err
		}
		list = append(list, &server.NkeyUser{Nkey: pub, Account: accounts[string(r)], Permissions: permissions(prefix, r)})
	}
	return list, nil
}

func permissions(prefix string, r Role) *server.Permissions {
	p := &server.Permissions{
		Publish:   &server.SubjectPermission{},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
	for _, s := range grants(prefix) {
		for _, to := range s.to {
			if to == r {
				p.Publish.Allow = append(p.Publish.Allow, s.subject)
			}
		}
	}
	for _, to := range readers {
		if to == r {
			p.Subscribe.Allow = append(p.Subscribe.Allow, factSubject(prefix))
		}
	}
	if p.Publish.Allow == nil {
		p.Publish.Deny = []string{">"}
	}
	return p
}

// join opens the doors between the accounts. The server must be running.
func join(s *server.Server, prefix string) error {
	accounts := map[string]*server.Account{}
	for _, name := range accountNames() {
		a, err := s.LookupAccount(name)
		if err != nil {
			return fmt.Errorf("account %s: %w", name, err)
		}
		accounts[name] = a
	}
	sys := accounts[systemAccount]
	for _, g := range grants(prefix) {
		kind := server.Singleton
		if g.many {
			kind = server.Streamed
		}
		var to []*server.Account
		for _, r := range g.to {
			to = append(to, accounts[string(r)])
		}
		if err := sys.AddServiceExportWithResponse(g.subject, kind, to); err != nil {
			return fmt.Errorf("export %s: %w", g.subject, err)
		}
		if err := sys.SetServiceExportResponseThreshold(g.subject, answerWithin); err != nil {
			return fmt.Errorf("export %s: %w", g.subject, err)
		}
		for _, a := range to {
			if err := a.AddServiceImport(sys, g.subject, g.subject); err != nil {
				return fmt.Errorf("import %s into %s: %w", g.subject, a.Name, err)
			}
		}
	}
	facts := factSubject(prefix)
	var to []*server.Account
	for _, r := range readers {
		to = append(to, accounts[string(r)])
	}
	if err := sys.AddStreamExport(facts, to); err != nil {
		return fmt.Errorf("export %s: %w", facts, err)
	}
	for _, a := range to {
		if err := a.AddStreamImport(sys, facts, ""); err != nil {
			return fmt.Errorf("import %s into %s: %w", facts, a.Name, err)
		}
	}
	// JetStream is off for accounts made in code until it is asked for.
	if err := sys.EnableJetStream(nil, nil); err != nil {
		return fmt.Errorf("jetstream for %s: %w", systemAccount, err)
	}
	return nil
}

func accountNames() []string {
	names := []string{systemAccount}
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return names
}
