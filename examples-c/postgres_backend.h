/* Flags in PostgreSQL, as a store of the library. */
#ifndef POSTGRES_BACKEND_H
#define POSTGRES_BACKEND_H

#include <flagstore.h>

/* Opens the flags of the database that `conninfo` names: a connection string of libpq, "host=db.example dbname=shop" or
 * "postgresql://db.example/shop". It may name a schema: "dbname=shop options=-csearch_path=flags". NULL options are the
 * defaults. The caller frees the store with flagstore_free. NULL: the call failed. */
flagstore_t *postgres_open(const char *conninfo, const flagstore_remote_options_t *options,
                           flagstore_error_t **error);

#endif
