// Command vault-dev is HashiCorp Vault and its PostgreSQL plugin in one binary, for local runs and tests only.
// Under the plugin's name it serves the plugin; under any other name it is the vault command.
package main

import (
	"os"
	"strings"

	"github.com/hashicorp/vault/command"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	dbplugin "github.com/hashicorp/vault/sdk/database/dbplugin/v5"
)

func main() {
	if strings.HasSuffix(os.Args[0], "postgresql-database-plugin") {
		dbplugin.ServeMultiplex(postgresql.New)
		return
	}
	os.Exit(command.Run(os.Args[1:]))
}
