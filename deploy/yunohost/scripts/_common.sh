#!/bin/bash
# What install and upgrade share. YunoHost's helpers set app, domain, path, port, install_dir and data_dir.

# shellcheck disable=SC2154  # of the helpers
install_program() {
    python3 -m venv --clear "$install_dir/venv"
    "$install_dir/venv/bin/pip" install --quiet "$install_dir/source"
    chown -R "$app:" "$data_dir"
}

# shellcheck disable=SC2034,SC2154  # the templates read them
set_addresses() {
    prefix=${path%/} # the top of a domain has no prefix
    base_url="https://$domain$prefix"
}

guestbook() { # a command of the book, as its user
    ynh_exec_as_app env GUESTBOOK_DATA_DIR="$data_dir" "$install_dir/venv/bin/guestbook" "$@"
}

add_configuration() {
    set_addresses
    ynh_config_add --template="env" --destination="$data_dir/.env"
    ynh_config_add --template="cron" --destination="/etc/cron.d/$app"
    chown root: "/etc/cron.d/$app"
    chmod 644 "/etc/cron.d/$app"
    ynh_config_add_systemd
    ynh_config_add_nginx
    yunohost service add "$app" --description="Guestbook"
}
