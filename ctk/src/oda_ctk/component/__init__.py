"""`ctk component`: an ODA component judged by its chart or manifest, by its running service, and in a cluster."""
