package events

// Pattern is a subject with wildcards, without the prefix.
type Pattern string

// Facts matches every fact. A reader of all facts sees every number of every
// publisher, so only it can tell a loss (Message.Missed).
const Facts Pattern = "evt.>"

// FactsOf matches the facts about one entity ("job").
func FactsOf(entity string) Pattern { return Pattern("evt." + entity + ".>") }

// CommandsOf matches the commands to one entity whose subjects end in one token
// ("hero.cmd.actor.<verb>.<actor>").
func CommandsOf(entity string) Pattern { return Pattern("cmd." + entity + ".*.*") }

// Commands matches every command.
const Commands Pattern = "cmd.>"

// Of matches every message of e's kind; pass a zero value.
func Of(e Event) Pattern { return Pattern(KindOf(e).Pattern()) }

// OrdersOf matches the orders about one entity to one node.
func OrdersOf(entity, node string) Pattern { return Pattern("int." + entity + ".*." + node + ".*") }
