-- One database and one user who owns it per component; nobody else may connect. psql reads the passwords from the
-- environment of the server's container. Running it again adds what is missing and sets the passwords anew.
\set ON_ERROR_STOP on
SET log_statement = 'none';  -- no password in the log
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
\getenv service_quality SERVICE_QUALITY_DB_PASSWORD
\getenv experience_management EXPERIENCE_MANAGEMENT_DB_PASSWORD
\getenv customer_360 CUSTOMER_360_DB_PASSWORD
\getenv churn_prediction CHURN_PREDICTION_DB_PASSWORD
\set demo_operator ''
\getenv demo_operator DEMO_OPERATOR_DB_PASSWORD

CREATE TEMPORARY TABLE wanted (name text, password text);
INSERT INTO wanted VALUES
  ('service_quality', :'service_quality'),
  ('experience_management', :'experience_management'),
  ('customer_360', :'customer_360'),
  ('churn_prediction', :'churn_prediction'),
  ('demo_operator', :'demo_operator');
DELETE FROM wanted WHERE name = 'demo_operator' AND password = '';

SELECT format('CREATE ROLE %I LOGIN', name) FROM wanted WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
\set ECHO none
SELECT format('ALTER ROLE %I PASSWORD %L', name, password) FROM wanted \gexec
SELECT format('CREATE DATABASE %I OWNER %I', name, name) FROM wanted
 WHERE name NOT IN (SELECT datname FROM pg_database) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name) FROM wanted \gexec
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
