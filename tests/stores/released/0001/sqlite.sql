BEGIN TRANSACTION;
CREATE TABLE bank_accounts (
	id VARCHAR(64) NOT NULL, 
	connection_id VARCHAR(128) NOT NULL, 
	stable_key VARCHAR(128) NOT NULL, 
	provider_id VARCHAR(512) NOT NULL, 
	iban VARCHAR(64), 
	currency VARCHAR(8), 
	name TEXT, 
	kind VARCHAR(64), 
	version BIGINT DEFAULT '0' NOT NULL, 
	coverage TEXT DEFAULT '[]' NOT NULL, 
	cursor TEXT, 
	attended_only BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_bank_accounts PRIMARY KEY (id), 
	CONSTRAINT fk_bank_accounts_connection_id FOREIGN KEY(connection_id) REFERENCES bank_connections (id) ON DELETE CASCADE, 
	CONSTRAINT uq_bank_accounts_connection_id_stable_key UNIQUE (connection_id, stable_key)
);
INSERT INTO "bank_accounts" VALUES('acc_1L4V2KXFu6qq','conn_Kma2TweW6i8p','k1','r1',NULL,'EUR',NULL,NULL,1,'[["2026-03-10", "2026-03-10"]]','cursor',0);
CREATE TABLE bank_balances (
	account_id VARCHAR(64) NOT NULL, 
	balance_type VARCHAR(64) NOT NULL, 
	amount VARCHAR(40) NOT NULL, 
	currency VARCHAR(8) NOT NULL, 
	reference_date DATE, 
	fetched_at DATETIME, 
	CONSTRAINT pk_bank_balances PRIMARY KEY (account_id, balance_type), 
	CONSTRAINT fk_bank_balances_account_id FOREIGN KEY(account_id) REFERENCES bank_accounts (id) ON DELETE CASCADE
);
INSERT INTO "bank_balances" VALUES('acc_1L4V2KXFu6qq','closingBooked','12.34','EUR','2026-03-10','2026-03-10 12:00:00.000000');
CREATE TABLE bank_connections (
	id VARCHAR(128) NOT NULL, 
	org_id VARCHAR(128) NOT NULL, 
	bank VARCHAR(128) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	status_reason VARCHAR(128), 
	consent_id VARCHAR(512), 
	consent_valid_until DATE, 
	credentials TEXT, 
	last_sync_at DATETIME, 
	next_sync_at DATETIME, 
	created_at DATETIME NOT NULL, 
	fence BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_bank_connections PRIMARY KEY (id)
);
INSERT INTO "bank_connections" VALUES('conn_Kma2TweW6i8p','acme','sandbox','ACTIVE',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-24 10:16:35.267874',1);
CREATE TABLE bank_transaction_ids (
	account_id VARCHAR(64) NOT NULL, 
	namespace VARCHAR(64) NOT NULL, 
	value VARCHAR(512) NOT NULL, 
	transaction_id VARCHAR(64) NOT NULL, 
	quality VARCHAR(8) NOT NULL, 
	CONSTRAINT pk_bank_transaction_ids PRIMARY KEY (account_id, namespace, value, transaction_id), 
	CONSTRAINT fk_bank_transaction_ids_transaction_id FOREIGN KEY(transaction_id) REFERENCES bank_transactions (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "bank_transaction_ids" VALUES('acc_1L4V2KXFu6qq','endToEndId','shared','row-1','weak');
INSERT INTO "bank_transaction_ids" VALUES('acc_1L4V2KXFu6qq','endToEndId','shared','row-2','weak');
INSERT INTO "bank_transaction_ids" VALUES('acc_1L4V2KXFu6qq','transactionId','t1','row-1','strong');
INSERT INTO "bank_transaction_ids" VALUES('acc_1L4V2KXFu6qq','transactionId','t2','row-2','strong');
CREATE TABLE bank_transactions (
	id VARCHAR(64) NOT NULL, 
	account_id VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	booking_date DATE, 
	value_date DATE, 
	amount VARCHAR(40) NOT NULL, 
	currency VARCHAR(8) NOT NULL, 
	counterparty_name TEXT, 
	counterparty_iban VARCHAR(64), 
	remittance TEXT, 
	missing_at_bank INTEGER DEFAULT '0' NOT NULL, 
	first_seen_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	raw TEXT, 
	day DATE NOT NULL, 
	deleted_by_user BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_bank_transactions PRIMARY KEY (id), 
	CONSTRAINT fk_bank_transactions_account_id FOREIGN KEY(account_id) REFERENCES bank_accounts (id) ON DELETE CASCADE
);
INSERT INTO "bank_transactions" VALUES('row-1','acc_1L4V2KXFu6qq','booked','2026-03-11','2026-03-10','-1.05','EUR','Café Nord','DE02120300000000202051','zwei Kaffee',0,'2026-11-24 10:16:35.281429','2026-11-24 10:16:35.281429','{"number":1}','2026-03-11',0);
INSERT INTO "bank_transactions" VALUES('row-2','acc_1L4V2KXFu6qq','booked','2026-03-12','2026-03-10','-2.05','EUR','Café Nord','DE02120300000000202051','zwei Kaffee',0,'2026-11-24 10:16:35.281429','2026-11-24 10:16:35.281429','{"number":2}','2026-03-12',0);
CREATE TABLE bankimport_schema (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT bankimport_schema_pkc PRIMARY KEY (version_num)
);
INSERT INTO "bankimport_schema" VALUES('0001');
CREATE INDEX ix_bank_connections_org_id_id ON bank_connections (org_id, id);
CREATE INDEX ix_bank_connections_consent_valid_until ON bank_connections (consent_valid_until);
CREATE INDEX ix_bank_transactions_account_id_day ON bank_transactions (account_id, day);
CREATE INDEX ix_bank_transaction_ids_transaction_id ON bank_transaction_ids (transaction_id);
COMMIT;
