SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.bank_accounts (
    id character varying(64) NOT NULL,
    connection_id character varying(128) NOT NULL,
    stable_key character varying(128) NOT NULL,
    provider_id character varying(512) NOT NULL,
    iban character varying(64),
    currency character varying(8),
    name text,
    kind character varying(64),
    version bigint DEFAULT '0'::bigint NOT NULL,
    coverage text DEFAULT '[]'::text NOT NULL,
    cursor text,
    attended_only boolean DEFAULT false NOT NULL
);
CREATE TABLE public.bank_balances (
    account_id character varying(64) NOT NULL,
    balance_type character varying(64) NOT NULL,
    amount numeric(28,8) NOT NULL,
    currency character varying(8) NOT NULL,
    reference_date date,
    fetched_at timestamp with time zone
);
CREATE TABLE public.bank_connections (
    id character varying(128) NOT NULL,
    org_id character varying(128) NOT NULL,
    bank character varying(128) NOT NULL,
    status character varying(32) NOT NULL,
    status_reason character varying(128),
    consent_id character varying(512),
    consent_valid_until date,
    credentials text,
    last_sync_at timestamp with time zone,
    next_sync_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    fence bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.bank_transaction_ids (
    account_id character varying(64) NOT NULL,
    namespace character varying(64) NOT NULL,
    value character varying(512) NOT NULL,
    transaction_id character varying(64) NOT NULL,
    quality character varying(8) NOT NULL
);
CREATE TABLE public.bank_transactions (
    id character varying(64) NOT NULL,
    account_id character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    booking_date date,
    value_date date,
    amount numeric(28,8) NOT NULL,
    currency character varying(8) NOT NULL,
    counterparty_name text,
    counterparty_iban character varying(64),
    remittance text,
    missing_at_bank integer DEFAULT 0 NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    raw text,
    day date NOT NULL,
    deleted_by_user boolean DEFAULT false NOT NULL
);
CREATE TABLE public.bankimport_schema (
    version_num character varying(32) NOT NULL
);
INSERT INTO public.bank_accounts VALUES ('acc_WxhdZ9qQlFTD', 'conn_2PO0XhGeCwXz', 'k1', 'r1', NULL, 'EUR', NULL, NULL, 1, '[["2026-03-10", "2026-03-10"]]', 'cursor', false);
INSERT INTO public.bank_balances VALUES ('acc_WxhdZ9qQlFTD', 'closingBooked', 12.34000000, 'EUR', '2026-03-10', '2026-03-10 12:00:00+00');
INSERT INTO public.bank_connections VALUES ('conn_2PO0XhGeCwXz', 'acme', 'sandbox', 'ACTIVE', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-24 10:16:35.331882+00', 1);
INSERT INTO public.bank_transaction_ids VALUES ('acc_WxhdZ9qQlFTD', 'transactionId', 't1', 'row-1', 'strong');
INSERT INTO public.bank_transaction_ids VALUES ('acc_WxhdZ9qQlFTD', 'endToEndId', 'shared', 'row-1', 'weak');
INSERT INTO public.bank_transaction_ids VALUES ('acc_WxhdZ9qQlFTD', 'transactionId', 't2', 'row-2', 'strong');
INSERT INTO public.bank_transaction_ids VALUES ('acc_WxhdZ9qQlFTD', 'endToEndId', 'shared', 'row-2', 'weak');
INSERT INTO public.bank_transactions VALUES ('row-1', 'acc_WxhdZ9qQlFTD', 'booked', '2026-03-11', '2026-03-10', -1.05000000, 'EUR', 'Café Nord', 'DE02120300000000202051', 'zwei Kaffee', 0, '2026-11-24 10:16:35.345743+00', '2026-11-24 10:16:35.345743+00', '{"number":1}', '2026-03-11', false);
INSERT INTO public.bank_transactions VALUES ('row-2', 'acc_WxhdZ9qQlFTD', 'booked', '2026-03-12', '2026-03-10', -2.05000000, 'EUR', 'Café Nord', 'DE02120300000000202051', 'zwei Kaffee', 0, '2026-11-24 10:16:35.345743+00', '2026-11-24 10:16:35.345743+00', '{"number":2}', '2026-03-12', false);
INSERT INTO public.bankimport_schema VALUES ('0001');
ALTER TABLE ONLY public.bankimport_schema
    ADD CONSTRAINT bankimport_schema_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.bank_accounts
    ADD CONSTRAINT pk_bank_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.bank_balances
    ADD CONSTRAINT pk_bank_balances PRIMARY KEY (account_id, balance_type);
ALTER TABLE ONLY public.bank_connections
    ADD CONSTRAINT pk_bank_connections PRIMARY KEY (id);
ALTER TABLE ONLY public.bank_transaction_ids
    ADD CONSTRAINT pk_bank_transaction_ids PRIMARY KEY (account_id, namespace, value, transaction_id);
ALTER TABLE ONLY public.bank_transactions
    ADD CONSTRAINT pk_bank_transactions PRIMARY KEY (id);
ALTER TABLE ONLY public.bank_accounts
    ADD CONSTRAINT uq_bank_accounts_connection_id_stable_key UNIQUE (connection_id, stable_key);
CREATE INDEX ix_bank_connections_consent_valid_until ON public.bank_connections USING btree (consent_valid_until);
CREATE INDEX ix_bank_connections_org_id_id ON public.bank_connections USING btree (org_id, id);
CREATE INDEX ix_bank_transaction_ids_transaction_id ON public.bank_transaction_ids USING btree (transaction_id);
CREATE INDEX ix_bank_transactions_account_id_day ON public.bank_transactions USING btree (account_id, day);
ALTER TABLE ONLY public.bank_accounts
    ADD CONSTRAINT fk_bank_accounts_connection_id FOREIGN KEY (connection_id) REFERENCES public.bank_connections(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.bank_balances
    ADD CONSTRAINT fk_bank_balances_account_id FOREIGN KEY (account_id) REFERENCES public.bank_accounts(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.bank_transaction_ids
    ADD CONSTRAINT fk_bank_transaction_ids_transaction_id FOREIGN KEY (transaction_id) REFERENCES public.bank_transactions(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.bank_transactions
    ADD CONSTRAINT fk_bank_transactions_account_id FOREIGN KEY (account_id) REFERENCES public.bank_accounts(id) ON DELETE CASCADE;
