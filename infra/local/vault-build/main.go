// Command vault-dev is HashiCorp Vault with its PostgreSQL plugin in one binary, for local demos and tests only.
// Called under the plugin's name it is the plugin; under any other name it is Vault.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/vault/command"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	dbplugin "github.com/hashicorp/vault/sdk/database/dbplugin/v5"
)

func main() {
	if strings.HasSuffix(os.Args[0], "postgresql-database-plugin") {
		if len(os.Args) > 1 && os.Args[1] == "--probe" {
			fmt.Println("plugin")
			return
		}
		dbplugin.ServeMultiplex(postgresql.New)
		return
	}
	os.Exit(command.Run(os.Args[1:]))
}
