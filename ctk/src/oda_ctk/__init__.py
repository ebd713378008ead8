"""ctk: the conformance kit, which judges any implementation of a TM Forum Open API or ODA component."""
