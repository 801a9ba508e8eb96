"""What is put into models: modules without parameters that take one tensor and give one."""
